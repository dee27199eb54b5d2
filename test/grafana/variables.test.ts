// Variables of a dashboard become PromQL as in Grafana.

import { describe, expect, test } from 'vitest'
import type { Variable } from '../../grafana/preview/model.ts'
import { substitute } from '../../grafana/preview/variables.ts'

const variables: readonly Variable[] = [
  { name: 'cluster', type: 'query', query: '', multi: true, includeAll: true, allValue: '.*' },
  { name: 'instance', type: 'query', query: '', multi: true },
  { name: 'netns', type: 'query', query: '', multi: false },
]
const time = {
  span: { startSeconds: 1000, endSeconds: 4600, stepSeconds: 15 },
  scrapeSeconds: 30,
}

describe('substitute()', () => {
  test.each([
    [
      'uses the expression of All when nothing is chosen',
      'x{cluster=~"$cluster"}',
      {},
      'x{cluster=~".*"}',
    ],
    [
      'escapes one value of several for a regular expression',
      'x{instance=~"$instance"}',
      { instance: '10.0.0.1:9' },
      'x{instance=~"10\\\\.0\\\\.0\\\\.1:9"}',
    ],
    [
      'joins several values',
      'x{instance=~"$instance"}',
      { instance: ['a.b', 'c'] },
      'x{instance=~"(a\\\\.b|c)"}',
    ],
    [
      'leaves a single value as it is, but for quotes',
      'x{netns="$netns"}',
      { netns: 'named/a.b"c' },
      'x{netns="named/a.b\\"c"}',
    ],
    ['knows both spellings', ['$', '{netns} $netns'].join(''), { netns: 'host' }, 'host host'],
    [
      'makes a rate of at least four scrapes',
      '[$__rate_interval] [$__interval] [$__range]',
      {},
      '[120s] [15s] [3600s]',
    ],
    ['leaves groups of regular expressions alone', '"var-cluster=$1"', {}, '"var-cluster=$1"'],
  ])('%s', (_name, text, choice, wanted) => {
    expect(substitute(text, variables, choice, time)).toBe(wanted)
  })

  test('refuses a variable that does not exist, and All where it is not offered', () => {
    expect(() => substitute('$nets', variables, {}, time)).toThrow('no such variable')
    expect(() => substitute('$netns', variables, {}, time)).toThrow('it is not offered')
  })
})
