const SLOTS = 16_384

/** The slot of a Cluster that a hash tag belongs to: CRC16 (XMODEM) of it, as the Redis Cluster specification has it. */
export function hashSlot(tag: string): number {
  let crc = 0
  for (const byte of new TextEncoder().encode(tag)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit += 1) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff
  }
  return crc % SLOTS
}
