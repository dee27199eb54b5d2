// Instructions against their encoding as the kernel documents it, and jumps against a machine that follows them.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  add,
  and,
  assemble,
  call,
  copy,
  disassemble,
  exit,
  goTo,
  goToIfAny,
  goToIfNotEqual,
  goToIfNotZero,
  goToIfZero,
  INSTRUCTION_BYTES,
  type Line,
  load,
  set,
  store,
} from '../../../src/kernel/bpf/assembler.ts'

const field = { offset: 0x1234, name: 'a field' }
/** By hand from Documentation/bpf/standardization/instruction-set.rst; the live test has the kernel's own text of each. */
const golden: readonly (readonly [write: () => Line, bytes: string, text: string])[] = [
  [() => load('r6', 'u64', 'r1', field), '79 16 34 12 00 00 00 00', 'r6 = *(u64 *)(r1 +4660)'],
  [() => load('r1', 'u32', 'r8', field), '61 81 34 12 00 00 00 00', 'r1 = *(u32 *)(r8 +4660)'],
  [() => load('r2', 'u16', 'r6', field), '69 62 34 12 00 00 00 00', 'r2 = *(u16 *)(r6 +4660)'],
  [() => load('r2', 'u8', 'r6', field), '71 62 34 12 00 00 00 00', 'r2 = *(u8 *)(r6 +4660)'],
  [
    () => store('u16', { offset: -8, name: 'a row' }, 'r1'),
    '6b 1a f8 ff 00 00 00 00',
    '*(u16 *)(r10 -8) = r1',
  ],
  [() => copy('r2', 'r10'), 'bf a2 00 00 00 00 00 00', 'r2 = r10'],
  [() => set('r3', 2), 'b7 03 00 00 02 00 00 00', 'r3 = 2'],
  [() => add('r2', -8), '07 02 00 00 f8 ff ff ff', 'r2 += -8'],
  [() => and('r1', 'r2'), '5f 21 00 00 00 00 00 00', 'r1 &= r2'],
  [
    () => call({ number: 127, name: 'bpf_seq_write' }),
    '85 00 00 00 7f 00 00 00',
    'call bpf_seq_write#127',
  ],
  [() => exit(), '95 00 00 00 00 00 00 00', 'exit'],
]

describe('assemble()', () => {
  test.for(golden)('%#', ([write, bytes, text]) => {
    const line = write()
    expect(Buffer.from(assemble([line])).toString('hex')).toBe(bytes.replaceAll(' ', ''))
    expect(disassemble([line])).toContain(`0: (${bytes.slice(0, 2)}) ${text}`)
  })

  test('the names of fields stand beside the text, and nothing beside that of others', () => {
    const lines = [load('r2', 'u8', 'r6', field), store('u16', { offset: -8, name: 'a row' }, 'r1')]
    expect(disassemble([...lines, exit()])).toBe(
      [
        '0: (71) r2 = *(u8 *)(r6 +4660)                  ; a field',
        '1: (6b) *(u16 *)(r10 -8) = r1                   ; a row',
        '2: (95) exit',
        '',
      ].join('\n'),
    )
  })

  test('jumps count from the instruction after them, and labels take no place', () => {
    const lines: Line[] = [
      'start',
      goToIfZero('r6', 'end'),
      goToIfNotZero('r6', 'middle'),
      goToIfNotEqual('r1', 'r2', 'start'),
      'middle',
      goToIfAny('r1', 0x80, 'end'),
      goTo('end'),
      'end',
      'also end',
      exit(),
    ]
    const words = Buffer.from(assemble(lines)).toString('hex').match(/.{16}/g)
    expect(words).toEqual([
      '1506040000000000',
      '5506010000000000',
      '5d21fdff00000000',
      '4501010080000000',
      '0500000000000000',
      '9500000000000000',
    ])
    expect(disassemble(lines)).toBe(
      [
        '0: (15) if r6 == 0x0 goto pc+4',
        '1: (55) if r6 != 0x0 goto pc+1',
        '2: (5d) if r1 != r2 goto pc-3',
        '3: (45) if r1 & 0x80 goto pc+1',
        '4: (05) goto pc+0',
        '5: (95) exit',
        '',
      ].join('\n'),
    )
  })

  test('a jump lands on what follows its label, whatever lies between', () => {
    const element = fc.oneof(
      fc.constant('set' as const),
      fc.nat(9).map((number) => ({ jumpTo: number })),
      fc.nat(9).map((number) => ({ label: number })),
    )
    fc.assert(
      fc.property(fc.array(element, { maxLength: 60 }), (elements) => {
        const labels = new Set<number>()
        const lines: Line[] = []
        /** What a jump to the label must land on. */
        const lands = new Map<number, number>()
        const jumps: { at: number; to: number }[] = []
        let count = 0
        for (const one of elements) {
          if (one !== 'set' && 'label' in one) {
            if (labels.has(one.label)) continue
            labels.add(one.label)
            lands.set(one.label, count)
            lines.push(`label ${one.label}`)
          } else {
            if (one === 'set') lines.push(set('r0', count))
            else {
              jumps.push({ at: count, to: one.jumpTo })
              lines.push(goTo(`label ${one.jumpTo}`))
            }
            count++
          }
        }
        if (jumps.some(({ to }) => !labels.has(to))) {
          expect(() => assemble(lines)).toThrow(/^There is no label label \d$/)
          return
        }
        const bytes = Buffer.from(assemble(lines))
        expect(bytes.length).toBe(count * INSTRUCTION_BYTES)
        for (const { at, to } of jumps) {
          expect(at + 1 + bytes.readInt16LE(at * INSTRUCTION_BYTES + 2)).toBe(lands.get(to))
        }
      }),
    )
  })

  test('what cannot be encoded is refused', () => {
    expect(() => assemble(['a', 'a', exit()])).toThrow('The label a is there twice')
    expect(() => assemble([goTo('nowhere')])).toThrow('There is no label nowhere')
    for (const offset of [0x7fff, -0x8000]) {
      const line = load('r1', 'u8', 'r2', { offset, name: '' })
      expect(Buffer.from(assemble([line])).readInt16LE(2)).toBe(offset)
    }
    for (const offset of [0x8000, -0x8001, 0.5]) {
      expect(() => assemble([load('r1', 'u8', 'r2', { offset, name: '' })])).toThrow(
        `The offset ${offset} does not fit`,
      )
    }
    const far: Line[] = [
      goTo('end'),
      ...Array.from({ length: 0x8000 }, () => exit()),
      'end',
      exit(),
    ]
    expect(() => assemble(far)).toThrow('does not fit')
  })
})
