import { describe, expect, it } from 'vitest'
import { dependencyProblem } from './dependency.ts'

describe('dependencyProblem', () => {
  it.each([
    'payments',
    'payments-v2',
    'team/payments',
    'com.shop.payments',
    'Payments',
    'payments:v2',
    'zahlung-übersee',
    'a:b',
    'v1.2',
  ])('takes %j for the name of a service', name => {
    expect(dependencyProblem(name)).toBeUndefined()
  })

  it.each([
    ['http://payments', 'a URL'],
    ['HTTPS://payments.example.com/api', 'a URL'],
    ['grpc+tls://payments', 'a URL'],
    ['//payments', 'a URL'],
    ['payments:8080', 'a host with a port'],
    ['payments.shop.svc.cluster.local:8080', 'a host with a port'],
    ['payments:8080/api', 'a host with a port'],
    ['a:80,b:81', 'a host with a port'],
    ['10.0.0.7', 'an IP address'],
    ['10.0.0.7:80', 'an IP address'],
    ['10.0.0.0/8', 'an IP address'],
    ['10.0.0.7, 10.0.0.8', 'an IP address'],
    ['127.1', 'an IP address'],
    ['2130706433', 'an IP address'],
    ['::1', 'an IP address'],
    ['fe80::1%eth0', 'an IP address'],
    ['2001:db8::7', 'an IP address'],
    ['[2001:db8::7]:80', 'an IP address'],
    ['[::1]', 'an IP address'],
    ['localhost', 'the address of this machine'],
    ['localhost:3000', 'the address of this machine'],
    ['/run/payments.sock', 'the path of a socket'],
    ['unix:/run/payments.sock', 'the path of a socket'],
    ['payments.example.com/api', 'a host with a path'],
  ])('refuses %j, which is %s', (address, kind) => {
    expect(dependencyProblem(address)).toBe(
      `expected the name of a service, got ${kind}: ${JSON.stringify(address)}; where it is, discovery says`,
    )
  })

  it.each([
    ['', '""'],
    ['a\nb', String.raw`"a\nb"`],
    [3, '3'],
    [{ host: 'x' }, 'an object'],
    [null, 'null'],
  ])('refuses %j, which is no name', (value, seen) => {
    expect(dependencyProblem(value)).toBe(`expected the name of a service, got ${seen}`)
  })

  it('takes a list of names, and refuses the first that is none', () => {
    expect(dependencyProblem(['payments', 'stock'])).toBeUndefined()
    expect(dependencyProblem([])).toBeUndefined()
    expect(dependencyProblem(['payments', 'stock:80'])).toContain('"stock:80"')
  })
})
