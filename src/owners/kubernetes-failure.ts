// Why the pods of this node could not be listed: the one error of the way to the Kubernetes API.

export type PodListFailure =
  /** The token is missing or not accepted. */
  | 'unauthorized'
  /** The token is accepted, but its account may not list pods. */
  | 'forbidden'
  | 'throttled'
  /** The API server answers, but cannot serve the list now. */
  | 'unavailable'
  /** No connection, or one that broke. */
  | 'unreachable'
  /** The CA cannot be read, or the server's certificate is not one that it signed for this host. */
  | 'untrusted'
  | 'timeout'
  /** An answer that is no list of pods, or only a part of one. */
  | 'malformed'
  /** A list without pods, although this program runs in one: the node's name is wrong. */
  | 'empty'

/** The list could not be had. Judged in one place, the pod directory, where it becomes data. */
export class PodListError extends Error {
  readonly reason: PodListFailure
  /** How long the server asked us to stay away. */
  readonly retryAfterMs: number | undefined

  constructor(
    reason: PodListFailure,
    message: string,
    options: ErrorOptions & { readonly retryAfterMs?: number | undefined } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = 'PodListError'
    this.reason = reason
    this.retryAfterMs = options.retryAfterMs
  }
}
