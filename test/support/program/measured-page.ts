// A page with the process's own metrics, once its event loop has been measured.

import { expect } from 'vitest'

/**
 * Renders until the mean of the lag is on the page. NB: each rendering begins the measurement anew, which then takes two
 * ticks 100 ms apart, so that asking often would never see one.
 */
export async function untilMeasured(render: () => Promise<string>): Promise<string> {
  let page = ''
  const renderAgain = async () => {
    page = await render()
    return page
  }
  await expect
    .poll(renderAgain, { interval: 500, timeout: 120_000 })
    .toMatch(/^nodejs_eventloop_lag_mean_seconds 0\.\d/m)
  return page
}
