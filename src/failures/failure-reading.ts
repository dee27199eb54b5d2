// What crosses from the worker to the main thread: one reading of the kernel's record of failed allocations. Plain values.

/** A namespace that is not watched, as with --netns=self: its failures are nobody's here, and are not counted. */
export const ELSEWHERE = 'elsewhere'

/** Failed allocations that differ in nothing but the time. */
export interface FailureEvent {
  /** In whose ring the kernel put them. */
  readonly cpu: number
  /** Of the thread that called connect(), as the initial PID namespace counts. */
  readonly pid: number
  /** What `Resolvers.netnsOf` said; undefined where the thread had gone. */
  readonly netns: string | undefined
  /** What `Resolvers.ownerOf` said. */
  readonly owner: string | undefined
  /** The local address that routing chose, `10.0.0.5`. */
  readonly source: string
  /** `10.0.0.9:443`, `[2001:db8::1]:443`; v4-mapped addresses as IPv4. */
  readonly destination: string
  readonly count: number
}

/** One CPU's ring, by the kernel's own counters. */
export interface RingCount {
  readonly cpu: number
  /** Events that have left the ring since the instance exists: `overrun + read events`. */
  readonly gone: number
  /** Records of this reading that are not the event: others wrote them. */
  readonly strangers: number
}

/** The rings in which nothing happened are left out, but for the first reading of a recorder. */
export interface FailureReading {
  readonly rings: readonly RingCount[]
  readonly events: readonly FailureEvent[]
  /** What could not be decoded; it counts all the same, without a destination. */
  readonly problem: string | undefined
}

/** What the reader of events asks while their threads may still live. */
export interface Resolvers {
  /** The key of the namespace that a thread is in, ELSEWHERE, or undefined where that cannot be known. */
  readonly netnsOf: (pid: number) => string | undefined
  readonly ownerOf: (pid: number) => string | undefined
}
