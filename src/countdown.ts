// A deadline in seconds of running: a machine that stands still brings it hardly closer.

/**
 * Calls `end` after that many seconds in which this process ran, unless it is cleared. Where a signal, a freezer or the
 * machine has stopped it, who is waited for mostly stood still too: however long that was, it counts as one of them.
 */
export function startCountdown(seconds: number, end: () => void): NodeJS.Timeout {
  let left = seconds
  const timer = setInterval(() => {
    left--
    if (left > 0) return
    clearInterval(timer)
    end()
  }, 1000)
  return timer
}
