// What one sample says of one pool, destination by destination: the input of the forecast.

export interface ForecastTrack {
  /** Names the destination within the pool; '' for tcp_bind and udp. */
  readonly key: string
  /** How many more allocations succeed now. */
  readonly availablePorts: number
  /** Ports held by sockets that are not in TIME_WAIT, ownerless FIN_WAIT2 included; blocked ports are not. */
  readonly livePorts: number
  /** Ports that only TIME_WAIT holds and that cannot be recycled now. */
  readonly timeWaitPorts: number
  /** TIME_WAIT ports that tcp_tw_reuse lets connect() recycle now; they are available. */
  readonly reclaimablePorts: number
  /** timeWaitPorts by remaining life: entry i = ports that come free between second i and i+1; 60 entries. */
  readonly expiring: readonly number[]
  /**
   * What is remembered of a destination that was not among the tracks of the last sample; undefined where that is
   * nothing.
   */
  readonly earlier?: Earlier | undefined
}

/** What is remembered of a destination that nobody follows. */
export interface Earlier {
  /** Its live ports at the last sample. */
  readonly livePorts: number
  /** The ports it took, averaged over the last two minutes. */
  readonly meanPorts: number
  /** It has held about as many since then. */
  readonly sinceSeconds: number
}
