import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { PodListError } from '../../src/pods/answer.ts'
import { parsePodList } from '../../src/pods/pods.ts'
import { parsePodListInSlices } from '../../src/pods/slices.ts'
import { podObject } from '../support/cluster/fake-api-server.ts'

function listOf(items: unknown): string {
  return JSON.stringify({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items })
}

/** What both make of a text: pods, or the words of the refusal. */
async function compare(text: string) {
  const refused = (error: unknown) => {
    if (error instanceof PodListError) return error.message
    throw error
  }
  let whole: unknown
  try {
    whole = parsePodList(text)
  } catch (error) {
    whole = refused(error)
  }
  const sliced = await parsePodListInSlices(text, { shortCharacters: 0, sliceMs: 0 }).catch(refused)
  return { whole, sliced }
}

describe('parsePodListInSlices() finds what parsePodList() finds', () => {
  const [one, two] = [podObject({ uid: 'a', name: 'cart' }), podObject({ uid: 'b' })]

  test.each([
    ['a list', listOf([one, two])],
    ['a list in many lines', JSON.stringify(JSON.parse(listOf([one, two])), undefined, 2)],
    ['an empty list', listOf([])],
    ['a list that Go writes as null', listOf(null)],
    ['a pod twice', listOf([one, two, one])],
    [
      'braces, quotes and backslashes in texts',
      listOf([{ ...one, note: '}]"\\", {"items":[' }, two]),
    ],
    ['items that are no objects', listOf([null, one, 7, 'x', [two], two])],
    ['a key that comes twice', listOf([one]).replace(/\}$/, ',"items":null}')],
    ['a key in escapes', listOf([one]).replace(/\}$/, ',"\\u0069tems":[null]}')],
    ['a number before an item', listOf([1, two]).replace('1,', '1')],
    ['a number behind an item', listOf([two, 1]).replace(',1]', '1]')],
    ['lists that are not closed as they were opened', listOf([[one], two]).replace('}]', ']}')],
    ['items within items', listOf([{ ...one, items: [two] }])],
    ['items twice', `${listOf([one]).slice(0, -1)},"items":[]}`],
    ['a part of a list', listOf([one]).replace('{}', '{"continue":"x"}')],
    ['another kind', listOf([one]).replace('PodList', 'Status')],
    ['no comma between items', listOf([one, two]).replace('},{', '} {')],
    ['a comma too many', listOf([one]).replace(']}', ',]}')],
    ['a list with more behind it', `${listOf([one])}]`],
    ['nothing', ''],
  ])('in %s', async (_what, text) => {
    const { whole, sliced } = await compare(text)
    expect(sliced).toEqual(whole)
  })

  test('in whatever is cut or changed', async () => {
    const text = listOf([{ ...one, note: 'a "quote"' }, two])
    await fc.assert(
      fc.asyncProperty(
        fc.nat(text.length),
        fc.constantFrom('', '"', '{', '}', '[', ']', ',', '\\', 'x'),
        fc.boolean(),
        async (at, put, isCut) => {
          const { whole, sliced } = await compare(
            text.slice(0, at) + put + (isCut ? '' : text.slice(at)),
          )
          expect(sliced).toEqual(whole)
        },
      ),
    )
  })
})

test.each<[string, unknown[]]>([
  ['objects alone', []],
  ['one item that is none', [1]],
  ['items of every kind', [null, 'x', [], [{}], true]],
])(
  'a long list of %s is parsed in slices, between which others have their turn',
  async (_what, odd) => {
    const items = Array.from({ length: 400 }, (_, at) => ({
      ...podObject({ uid: `uid-${at}` }),
      padding: 'x'.repeat(20_000),
    }))
    let pauses = 0
    const parse = vi.spyOn(JSON, 'parse')
    const pods = await parsePodListInSlices(listOf([...items, ...odd]), {
      sliceMs: 0,
      pause: async () => {
        pauses++
      },
    })
    const longest = Math.max(...parse.mock.calls.map(([text]) => text.length))
    parse.mockRestore()
    expect(pods).toHaveLength(400)
    expect(longest).toBeLessThan(30_000)
    expect(pauses).toBeGreaterThanOrEqual(400)
  },
)
