/** Milliseconds of CLOCK_MONOTONIC, which all processes of one machine share: what they note can be put in one order. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
