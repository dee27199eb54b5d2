// Where the dashboards lead: to each other with what was chosen, and to the alerts' runbooks.

import { DashboardLinkBuilder, DashboardLinkType } from '@grafana/grafana-foundation-sdk/dashboard'

const REPOSITORY = 'https://github.com/ephemeral-port-exporter/ephemeral-port-exporter'
/** As the runbook_url of the alerts. */
export const RUNBOOKS = `${REPOSITORY}/blob/main/deploy/prometheus/runbooks/`
export const TAG = 'ephemeral-port'
export const OVERVIEW = { uid: 'ephemeral-port-overview', title: 'Ephemeral ports / Overview' }
export const DETAIL = { uid: 'ephemeral-port-netns', title: 'Ephemeral ports / Namespace' }

const FLEET = ['datasource', 'cluster', 'job', 'instance'] as const

export interface DataLink {
  readonly title: string
  readonly url: string
  readonly targetBlank: boolean
}

/**
 * From a row with the labels job, instance, netns, VAR_CLUSTER and PAGE to the page of that namespace.
 * A label that is missing, as cluster often is, cannot be named in a link; so the query makes one that never is.
 */
export const toNamespace: DataLink = {
  title: 'Open this namespace',
  url:
    `/d/\${__data.fields.page}?\${datasource:queryparam}&\${__data.fields.var_cluster}` +
    `${parameter('job')}${parameter('instance')}${parameter('netns')}&\${__url_time_range}`,
  targetBlank: false,
}

function parameter(label: string): string {
  return `&var-${label}=\${__data.fields.${label}:percentencode}`
}

/**
 * Adds the labels that toNamespace needs: `var-cluster=`, and the cluster if there is one; and the dashboard, which is the
 * overview of that exporter for failures of processes that ended before anybody saw where they were.
 */
export function withLinkLabel(expression: string): string {
  const cluster = `label_replace(${expression}, "var_cluster", "var-cluster=$1", "cluster", "(.*)")`
  const page = `label_replace(${cluster}, "page", "${DETAIL.uid}", "netns", ".*")`
  return `label_replace(${page}, "page", "${OVERVIEW.uid}", "netns", "unknown")`
}

/** What withLinkLabel() adds and nobody looks at. */
export const LINK_LABELS = ['job', 'var_cluster', 'page'] as const

/** From a line with the labels job and instance to the overview of that exporter, in the time shown. */
export const toExporter: DataLink = {
  title: 'Only this instance',
  url:
    `/d/${OVERVIEW.uid}?${chosen('datasource', 'cluster')}` +
    `&var-job=\${__field.labels.job:percentencode}&var-instance=\${__field.labels.instance:percentencode}&\${__url_time_range}`,
  targetBlank: false,
}

function chosen(...names: readonly string[]): string {
  return names.map((name) => `\${${name}:queryparam}`).join('&')
}

/**
 * From a point of a line to the same page at that moment: what is not a line shows the end of the time shown, and so the
 * page says who held the ports then. NB: ${__from} and the time of a point are milliseconds.
 */
function asItWasThen(uid: string, ...variables: readonly string[]): DataLink {
  return {
    title: 'This page as it was then',
    url: `/d/${uid}?${chosen(...variables)}&from=\${__from}&to=\${__value.time}`,
    targetBlank: false,
  }
}

export const overviewThen = asItWasThen(OVERVIEW.uid, ...FLEET, 'namespace')
export const netnsThen = asItWasThen(DETAIL.uid, ...FLEET, 'namespace', 'netns')

/** From a line of one namespace to the overview of the exporter that watches it, in the time shown. */
export const toInstance: DataLink = {
  title: 'All of this instance',
  url: `/d/${OVERVIEW.uid}?${chosen(...FLEET)}&\${__url_time_range}`,
  targetBlank: false,
}

/** From a row with the labels namespace and pod to kubernetes-mixin's dashboard of the pod, by the uid that it always has. */
export const toPod: DataLink = {
  title: 'Open the pod (kubernetes-mixin)',
  url:
    `/d/6581e46e4e5c7ba40a07646395ef7b23?\${datasource:queryparam}` +
    `&var-namespace=\${__data.fields.namespace:percentencode}&var-pod=\${__data.fields.pod:percentencode}&\${__url_time_range}`,
  targetBlank: false,
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

/**
 * The links of a dashboard's head. Not with all variables from the overview to a namespace: "All" instances would mix the
 * namespaces of that name of all hosts.
 */
export function headLinks(): readonly DashboardLinkBuilder[] {
  const ofTag = (title: string, tag: string) =>
    new DashboardLinkBuilder(title)
      .type(DashboardLinkType.Dashboards)
      .tags([tag])
      .asDropdown(true)
      .keepTime(true)
  const kept = chosen('datasource', 'cluster', 'job')
  const toPage = ({ uid, title }: typeof OVERVIEW, variables: string) =>
    new DashboardLinkBuilder(title)
      .type(DashboardLinkType.Link)
      .icon('dashboard')
      .url(`/d/${uid}?${variables}`)
      .keepTime(true)
  return [
    toPage(OVERVIEW, `${kept}&\${instance:queryparam}`),
    toPage(DETAIL, kept),
    ofTag('Kubernetes', 'kubernetes-mixin').includeVars(true),
    ofTag('Node', 'node-exporter-mixin'),
    new DashboardLinkBuilder('Runbooks')
      .type(DashboardLinkType.Link)
      .icon('doc')
      .tooltip('One page for each alert: meaning, impact, diagnosis, mitigation')
      .url(RUNBOOKS)
      .targetBlank(true),
  ]
}
