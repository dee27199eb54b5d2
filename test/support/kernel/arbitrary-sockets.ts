// Random sockets for properties, as they stand on the wire.

import fc from 'fast-check'
import type { WireSocket } from './netlink-builder.ts'

const bytes4 = fc.constantFrom([127, 0, 0, 1], [10, 0, 0, 5], [0, 0, 0, 0], [192, 168, 1, 9])
const bytes16 = fc.constantFrom(
  [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1],
  [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9],
)

export const wireSocket: fc.Arbitrary<WireSocket> = fc
  .record({
    family: fc.constantFrom<4 | 6>(4, 6),
    state: fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
    minisock: fc.boolean(),
    localPort: fc.integer({ min: 39998, max: 40021 }),
    remotePort: fc.constantFrom(80, 443),
    local4: bytes4,
    local6: bytes16,
    remote4: bytes4,
    remote6: bytes16,
    device: fc.constantFrom(0, 0, 0, 1, 3),
    expiresMs: fc.integer({ min: 0, max: 60_000 }),
    uid: fc.constantFrom(0, 1000),
    v6only: fc.boolean(),
    cgroupId: fc.option(fc.integer({ min: 1, max: 2 ** 40 }), { nil: undefined }),
  })
  .map((draw) => {
    const unconnected = draw.state === 7 || draw.state === 10
    const minisock = draw.state === 6 || (draw.state === 5 && draw.minisock)
    return {
      family: draw.family,
      state: draw.state,
      timer: minisock ? 3 : 0,
      localPort: draw.localPort,
      remotePort: unconnected ? 0 : draw.remotePort,
      local: draw.family === 4 ? draw.local4 : draw.local6,
      remote: draw.family === 4 ? draw.remote4 : draw.remote6,
      device: draw.device,
      expiresMs: minisock ? draw.expiresMs : 0,
      uid: draw.uid,
      v6only: unconnected && draw.family === 6 ? draw.v6only : undefined,
      cgroupId: draw.cgroupId,
    }
  })
