// A network namespace that was found, with nothing special about it.

import type { Place } from '../../src/namespaces/place.ts'

export function buildPlace(part: Partial<Place> = {}): Place {
  return {
    id: 2,
    own: false,
    ofInit: false,
    inode: undefined,
    netInode: undefined,
    cookie: undefined,
    pids: [],
    processAgeSeconds: undefined,
    bornSeconds: undefined,
    names: [],
    entrances: [],
    ...part,
  }
}
