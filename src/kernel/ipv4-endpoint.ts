// struct sockaddr_in (linux/in.h): family u16 in host order, port u16 and address u32 in network order, 8 bytes of
// padding.

const AF_INET = 2

export function encodeIpv4Endpoint(
  address: readonly [number, number, number, number],
  port: number,
): Uint8Array {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, AF_INET, true)
  view.setUint16(2, port)
  bytes.set(address, 4)
  return bytes
}
