// The one list of all metric families, in the order of the page.

import { destinationFamilies } from './destinations.ts'
import { explainAbsence } from './detail.ts'
import { exporterFamilies } from './exporter.ts'
import { failureFamilies } from './failures.ts'
import type { Family } from './family.ts'
import { namespaceFamilies } from './namespaces.ts'
import { natFamilies } from './nat.ts'
import { ownerFamilies } from './owners.ts'
import { poolFamilies } from './pools.ts'
import { rangeFamilies } from './range.ts'

export const families: readonly Family[] = [
  ...rangeFamilies,
  ...poolFamilies,
  ...destinationFamilies,
  ...ownerFamilies,
  ...natFamilies,
  ...failureFamilies,
  ...namespaceFamilies,
  ...exporterFamilies,
].map(explainAbsence)
