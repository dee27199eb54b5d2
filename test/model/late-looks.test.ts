// Own timestamps that were switched while nobody could look at the live connections.

import { describe, expect, test } from 'vitest'
import { Host } from './timestamps-host.ts'

describe('own timestamps', () => {
  test.each(['rests', 'fails'])(
    'that were switched while the look %s are looked at later',
    (why) => {
      const setLook = (host: Host, works: boolean) => {
        host.canLook = works || why === 'fails'
        host.doesLookFail = !works
      }
      for (const own of [1, 0]) {
        const host = new Host()
        host.own = 1 - own
        host.look()
        host.connect(0, 50)
        host.lookAfter(5)
        host.own = own
        host.connect(50, 20)
        setLook(host, false)
        for (let at = 0; at < 3; at++) {
          host.lookAfter(5)
        }
        setLook(host, true)
        host.lookAfter(5)
        setLook(host, false)
        host.wait(60)
        host.close()
        const [left, uncertain, exactness] = host.lookAfter(5)
        expect(left).toBe(own ? 50 : 80)
        expect(host.truth).toBe(left)
        expect([uncertain, exactness]).toEqual(own ? [0, 'exact'] : [50, 'inferred'])
      }
    },
  )

  test('that were switched on while nobody looked are not exact for what ends before the look', () => {
    const host = new Host()
    host.own = 0
    host.look()
    host.own = 1
    host.canLook = false
    host.connect(0, 20)
    host.lookAfter(5)
    host.close()
    expect(host.lookAfter(5)).toEqual([80, 0, 'inferred'])
    // The look does not show them.
    host.canLook = true
    for (let at = 0; at < 2; at++) {
      expect(host.lookAfter(20)).toEqual([80, 0, 'inferred'])
    }
    host.wait(60)
    host.connect(0, 20)
    host.close()
    expect(host.lookAfter(5)).toEqual([100, 0, 'exact'])
  })

  test('are in doubt until they are gone although they end right before the look', () => {
    const host = new Host()
    host.own = 0
    host.look()
    host.canLook = false
    host.own = 1
    host.connect(0, 20)
    host.lookAfter(5)
    host.wait(300)
    host.close()
    host.wait(2)
    host.canLook = true
    expect(host.look()[2]).toBe('inferred')
    expect(host.lookAfter(50)[2]).toBe('inferred')
  })

  test('are looked at after two switches although nothing is remembered', () => {
    const host = new Host()
    host.look()
    host.canLook = false
    host.own = 0
    host.connect(0, 20)
    host.lookAfter(5)
    host.own = 1
    host.lookAfter(5)
    host.canLook = true
    host.lookAfter(5)
    host.wait(60)
    host.close()
    expect(host.lookAfter(5)).toEqual([80, 0, 'exact'])
    expect(host.truth).toBe(80)
  })
})
