// Ports that may be closed to every connect() although they look shared: which to test, what the tests said, and what
// that makes of those that were not tested. Pure. "Ambiguous" is a usable port with a TCP socket on which nothing
// visible blocks: only there can bind history hide (docs/development/port-model.md#the-truth-test). A port without
// sockets has none, and one that is blocked visibly needs no test.

/** What the tests of one namespace said, by port. */
export type PortTests = ReadonlyMap<number, PortTest>

export interface PortTest {
  readonly closed: boolean
  readonly testedAtSeconds: number
}

/** What a sample cannot tell of the ports of a namespace by their sockets. */
export interface PortDoubt {
  /** Ports with TCP sockets, on which nothing visible blocks. */
  readonly ambiguous: readonly number[]
  /** Ports without any, where sockets that are only bound are not seen; empty elsewhere. */
  readonly unseen: readonly number[]
  /** Ports that TCP can ever hand out. */
  readonly capacityPorts: number
  /** Available ports without any TCP socket. */
  readonly unusedPorts: number
  /** Tells what to know an ambiguous port by, as long as the sample is taken. */
  readonly marks: () => PortMarks
}

/**
 * A mark of the connections at each ambiguous port: another mark when others have come or some have gone, but not where
 * the same destination has come again.
 */
export type PortMarks = ReadonlyMap<number, number>

/** What the model makes of them, for ports that are ambiguous now. */
export interface HiddenPorts {
  /** Known to be closed: to be counted as blocked. */
  readonly closed: ReadonlySet<number>
  /** Ambiguous, and not tested. */
  readonly untested: ReadonlySet<number>
  /** Share of the untested that is expected to be closed, as of the tested; undefined where nothing was tested. */
  readonly closedRatio: number | undefined
}

/** A closed port opens when the socket goes that was bound, and others stay: what is older is not believed. */
const BELIEVED_SECONDS = 60

/** The bits of a port's use that matter here: USE and BLOCKING of the model. */
export interface UseBits {
  readonly tcp: number
  readonly blocking: number
}

/** Whether a port has a connection and nothing that visibly closes it. */
export function isAmbiguous(use: number, { tcp, blocking }: UseBits): boolean {
  return (use & (tcp | blocking)) === tcp
}

export function listAmbiguousPorts(
  usable: Uint8Array,
  portUse: Uint16Array,
  bits: UseBits,
): number[] {
  const ports: number[] = []
  for (let port = 0; port < portUse.length; port++) {
    if (isAmbiguous(portUse[port] ?? 0, bits) && usable[port] === 1) ports.push(port)
  }
  return ports
}

/**
 * Chooses at most `limit` ports. Those that were never tested come first, in random order, so that they stand for the
 * rest. Then come those whose test is oldest. `random` gives numbers from 0 up to, not including, 1.
 */
export function choosePorts(
  ambiguous: readonly number[],
  tests: PortTests,
  { limit, random }: { readonly limit: number; readonly random: () => number },
): number[] {
  const untested = ambiguous.filter((port) => !tests.has(port))
  const chosen = drawPorts(untested, Math.min(limit, untested.length), random)
  const testedAt = (port: number) => tests.get(port)?.testedAtSeconds ?? 0
  const oldest = ambiguous
    .filter((port) => tests.has(port))
    .toSorted((a, b) => testedAt(a) - testedAt(b) || a - b)
  return [...chosen, ...oldest.slice(0, limit - chosen.length)]
}

/**
 * The most of a common allowance that each may have, so that what those with small wants leave is shared by the others.
 * May be a fraction.
 */
export function levelShares(allowance: number, wants: readonly number[]): number {
  let left = allowance
  let sharing = wants.length
  for (const want of wants.toSorted((a, b) => a - b)) {
    if (want * sharing > left) return left / sharing
    left -= want
    sharing--
  }
  return allowance
}

/**
 * Leaves out old answers, and those of ports whose connections are others than they were: one that has come may have
 * been bound.
 */
export function keepUnchanged(
  tests: PortTests,
  { before, now, nowSeconds }: MarkChange,
): PortTests {
  return new Map(
    [...tests].filter(
      ([port, test]) => before.get(port) === now.get(port) && isBelieved(test, nowSeconds),
    ),
  )
}

export interface MarkChange {
  readonly before: PortMarks
  readonly now: PortMarks
  /** When `now` was taken, by the clock of the tests. */
  readonly nowSeconds: number
}

function isBelieved({ testedAtSeconds }: PortTest, nowSeconds: number): boolean {
  return nowSeconds - testedAtSeconds <= BELIEVED_SECONDS
}

/** Adds what the kernel said, and forgets ports that have been without sockets or blocked since, and old answers. */
export function noteTests(
  tests: PortTests,
  answers: { readonly usable: readonly number[]; readonly closed: readonly number[] },
  { ambiguous, nowSeconds }: { readonly ambiguous: readonly number[]; readonly nowSeconds: number },
): PortTests {
  const known = new Set(ambiguous)
  const kept = new Map(
    [...tests].filter(([port, test]) => known.has(port) && isBelieved(test, nowSeconds)),
  )
  for (const port of answers.usable) kept.set(port, { closed: false, testedAtSeconds: nowSeconds })
  for (const port of answers.closed) kept.set(port, { closed: true, testedAtSeconds: nowSeconds })
  return kept
}

/** Fewer say nothing of the others: one closed port of one would close them all. */
const LEAST_TESTED = 30

export function estimateHidden(ambiguous: readonly number[], tests: PortTests): HiddenPorts {
  const closed = ambiguous.filter((port) => tests.get(port)?.closed)
  const untested = ambiguous.filter((port) => !tests.has(port))
  const tested = ambiguous.length - untested.length
  return {
    closed: new Set(closed),
    untested: new Set(untested),
    closedRatio:
      tested < Math.min(LEAST_TESTED, ambiguous.length) ? undefined : closed.length / tested,
  }
}

/**
 * The ports to be counted as closed: those known to be, and of the untested as many as the tested suggest, always the
 * same ones as long as they are untested. Exact when all were tested.
 */
export function presumeClosed({ closed, untested, closedRatio }: HiddenPorts): ReadonlySet<number> {
  const presumed = Math.round(untested.size * (closedRatio ?? 0))
  if (presumed === 0) return closed
  const scattered = [...untested].sort((a, b) => scatter(a) - scatter(b))
  return new Set([...closed, ...scattered.slice(0, presumed)])
}

/** An order of ports that has nothing to do with their order (Knuth's multiplicative hash). */
function scatter(port: number): number {
  return Math.imul(port, 0x9e37_79b1) >>> 0
}

/** The first `count` of a random order (Fisher and Yates). */
function drawPorts(ports: readonly number[], count: number, random: () => number): number[] {
  const rest = [...ports]
  for (let at = 0; at < count; at++) {
    const from = at + Math.floor(random() * (rest.length - at))
    const drawn = rest[from] ?? 0
    rest[from] = rest[at] ?? 0
    rest[at] = drawn
  }
  return rest.slice(0, count)
}
