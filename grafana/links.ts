// Where the dashboards lead: to each other with what was chosen, and to the alerts' runbooks.

import { DashboardLinkBuilder, DashboardLinkType } from '@grafana/grafana-foundation-sdk/dashboard'

const REPOSITORY = 'https://github.com/ephemeral-port-exporter/ephemeral-port-exporter'
/** As the runbook_url of the alerts. */
export const RUNBOOKS = `${REPOSITORY}/blob/main/deploy/prometheus/runbooks/`
export const TAG = 'ephemeral-port'
export const OVERVIEW = { uid: 'ephemeral-port-overview', title: 'Ephemeral ports / Overview' }
export const DETAIL = { uid: 'ephemeral-port-netns', title: 'Ephemeral ports / Namespace' }

export interface DataLink {
  readonly title: string
  readonly url: string
  readonly targetBlank: boolean
}

/**
 * From a row with the labels job, instance, netns and VAR_CLUSTER to the page of that namespace.
 * A label that is missing, as cluster often is, cannot be named in a link; so the query makes one that never is.
 */
export const toNamespace: DataLink = {
  title: 'Open this namespace',
  url:
    `/d/${DETAIL.uid}?\${datasource:queryparam}&\${__data.fields.var_cluster}` +
    `${parameter('job')}${parameter('instance')}${parameter('netns')}&\${__url_time_range}`,
  targetBlank: false,
}

function parameter(label: string): string {
  return `&var-${label}=\${__data.fields.${label}:percentencode}`
}

/** Adds the label that toNamespace needs: `var-cluster=`, and the cluster if there is one. */
export function withLinkLabel(expression: string): string {
  return `label_replace(${expression}, "var_cluster", "var-cluster=$1", "cluster", "(.*)")`
}

/** From a row with the label alertname. */
export const toRunbook: DataLink = {
  title: 'Open the runbook',
  url: `${RUNBOOKS}\${__data.fields.alertname}.md`,
  targetBlank: true,
}

export function panelRunbook(alertname: string): DashboardLinkBuilder {
  return new DashboardLinkBuilder(`Runbook: ${alertname}`)
    .type(DashboardLinkType.Link)
    .url(`${RUNBOOKS}${alertname}.md`)
    .targetBlank(true)
}

/** The links of a dashboard's head. */
export function headLinks(): readonly DashboardLinkBuilder[] {
  return [
    new DashboardLinkBuilder('Ephemeral ports')
      .type(DashboardLinkType.Dashboards)
      .tags([TAG])
      .includeVars(true)
      .keepTime(true),
    new DashboardLinkBuilder('Runbooks')
      .type(DashboardLinkType.Link)
      .icon('doc')
      .tooltip('One page for each alert: meaning, impact, diagnosis, mitigation')
      .url(RUNBOOKS)
      .targetBlank(true),
  ]
}
