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
        host.wait(5)
        host.look()
        host.own = own
        host.connect(50, 20)
        setLook(host, false)
        for (let at = 0; at < 3; at++) {
          host.wait(5)
          host.look()
        }
        setLook(host, true)
        host.wait(5)
        host.look()
        setLook(host, false)
        host.wait(60)
        host.close()
        host.wait(5)
        const [left, uncertain, exactness] = host.look()
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
    host.wait(5)
    host.look()
    host.close()
    host.wait(5)
    expect(host.look()).toEqual([80, 0, 'inferred'])
    // The look does not show them.
    host.canLook = true
    for (let at = 0; at < 2; at++) {
      host.wait(20)
      expect(host.look()).toEqual([80, 0, 'inferred'])
    }
    host.wait(60)
    host.connect(0, 20)
    host.close()
    host.wait(5)
    expect(host.look()).toEqual([100, 0, 'exact'])
  })

  test('are in doubt until they are gone although they end right before the look', () => {
    const host = new Host()
    host.own = 0
    host.look()
    host.canLook = false
    host.own = 1
    host.connect(0, 20)
    host.wait(5)
    host.look()
    host.wait(300)
    host.close()
    host.wait(2)
    host.canLook = true
    expect(host.look()[2]).toBe('inferred')
    host.wait(50)
    expect(host.look()[2]).toBe('inferred')
  })

  test('are looked at after two switches although nothing is remembered', () => {
    const host = new Host()
    host.look()
    host.canLook = false
    host.own = 0
    host.connect(0, 20)
    host.wait(5)
    host.look()
    host.own = 1
    host.wait(5)
    host.look()
    host.canLook = true
    host.wait(5)
    host.look()
    host.wait(60)
    host.close()
    host.wait(5)
    expect(host.look()).toEqual([80, 0, 'exact'])
    expect(host.truth).toBe(80)
  })
})
