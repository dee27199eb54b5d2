import { describe, expect, test } from 'vitest'
import { createLocate } from '../../src/ledger/locate.ts'
import type { DestinationRow } from '../../src/snapshot.ts'
import { sampleState } from '../support/render/sample-snapshot.ts'

const failure = { source: '10.0.0.5', destination: '10.0.0.9:443' }

function namespace(key: string, row: Partial<DestinationRow> = {}) {
  const rows = [{ ...failure, usedPorts: 990, timeWaitPorts: 0, utilizationRatio: 0.99, ...row }]
  return { key, state: { ...sampleState, destinations: { count: 1, rows, other: undefined } } }
}

describe('createLocate()', () => {
  test('finds the namespace that has exhausted the destination', () => {
    const namespaces = [namespace('a', { destination: '10.0.0.9:80' }), namespace('b')]
    expect(createLocate(namespaces)(failure)).toBe('b')
  })

  test('finds it by sockets that are bound to a device', () => {
    expect(createLocate([namespace('a', { source: '10.0.0.5%3' })])(failure)).toBe('a')
  })

  test('finds it by the worst destination where no rows are kept', () => {
    const [connect] = sampleState.pools
    if (connect === undefined) throw new Error('The sample has no pool')
    const worst = (utilizationRatio: number) => ({
      ...sampleState,
      destinations: undefined,
      pools: [{ ...connect, worstDestination: failure, utilizationRatio }],
    })
    expect(createLocate([{ key: 'a', state: worst(1) }])(failure)).toBe('a')
    expect(createLocate([{ key: 'a', state: worst(0.5) }])(failure)).toBeUndefined()
  })

  test('finds it where rows and the worst destination both name it', () => {
    const { key, state } = namespace('a')
    const [connect] = state.pools
    if (connect === undefined) throw new Error('The sample has no pool')
    const pools = [{ ...connect, worstDestination: failure, utilizationRatio: 1 }]
    expect(createLocate([{ key, state: { ...state, pools } }])(failure)).toBe('a')
  })

  test.each([
    ['another source', [namespace('a', { source: '10.0.0.6' })]],
    ['ports to spare', [namespace('a', { utilizationRatio: 0.8 })]],
    ['two that could be it', [namespace('a'), namespace('b')]],
    ['no reading', [{ key: 'a', state: undefined }]],
  ])('does not guess with %s', (_name, namespaces) => {
    expect(createLocate(namespaces)(failure)).toBeUndefined()
  })
})
