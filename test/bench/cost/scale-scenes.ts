// The scenes of `npm run bench:scale`: how many sockets there are, in which range, and in how many namespaces.

export interface Scene {
  readonly name: string
  /** Each is two sockets: its client, and the end that a listener has accepted. */
  readonly connections: number
  readonly destinations: number
  /** The range while connections are made, and the one while they are looked at. */
  readonly made: Range
  readonly seen: Range
  /** Namespaces beside our own, each with so many connections to one destination, whose clients alone are in the range. */
  readonly namespaces: number
  readonly connectionsEach: number
}

export type Range = readonly [first: number, last: number]

const USUAL: Range = [32_768, 60_999]
const WIDE: Range = [1024, 65_535]
const FREE: Range = [61_000, 64_999]
/** Of a namespace that uses a third of it, so that it is not quiet. */
const SMALL: Range = [32_768, 32_803]
const CONNECTIONS_EACH = 12
const base = {
  connections: 0,
  destinations: 1,
  made: USUAL,
  seen: USUAL,
  namespaces: 0,
  connectionsEach: CONNECTIONS_EACH,
}

/** The first is what the others are compared with. */
export const scenes: readonly Scene[] = [
  { ...base, name: 'no sockets' },
  { ...base, name: '500,000 sockets, half in the range', connections: 250_000, destinations: 60 },
  { ...base, name: '1,000,000 sockets, half in the range', connections: 500_000, destinations: 60 },
  {
    ...base,
    name: '1,000,000 sockets, all outside',
    connections: 500_000,
    destinations: 60,
    seen: FREE,
  },
  {
    ...base,
    name: '30,000 destinations, two connections each',
    connections: 60_000,
    destinations: 30_000,
  },
  {
    ...base,
    name: 'a proxy of 60,000 sockets',
    connections: 30_000,
    destinations: 20,
    made: WIDE,
    seen: WIDE,
  },
  {
    ...base,
    name: 'a proxy of 300,000 sockets',
    connections: 150_000,
    destinations: 20,
    made: WIDE,
    seen: WIDE,
  },
  { ...base, name: '1 busy namespace', namespaces: 1, seen: SMALL },
  { ...base, name: '100 busy namespaces', namespaces: 100, seen: SMALL },
  { ...base, name: '1,000 busy namespaces', namespaces: 1000, seen: SMALL },
  { ...base, name: '1,000 quiet namespaces', namespaces: 1000 },
]
