// The variables of the dashboards.

import {
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  type VariableOption,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'

export const datasource = { type: 'prometheus', uid: '$datasource' }

const all: VariableOption = { selected: true, text: ['All'], value: ['$__all'] }
/** One series an exporter, so that the lists are cheap. */
const EXPORTERS = 'ephemeral_port_exporter_build_info'

/** datasource, cluster, job and instance, all of them chosen: for a page of many exporters. */
export function fleetVariables() {
  return [
    datasourceVariable(),
    ...targetVariables(),
    instanceVariable().includeAll(true).current(all),
    namespaceVariable().label('Kubernetes namespace (tables)'),
  ]
}

/** The same and netns, for a page of one namespace: neither instance nor netns offers "All". */
export function namespaceVariables() {
  return [
    datasourceVariable(),
    ...targetVariables(),
    instanceVariable().includeAll(false),
    namespaceVariable().label('Kubernetes namespace'),
    query(
      'netns',
      'label_values(ephemeral_port_netns_info{cluster=~"$cluster", job=~"$job", instance=~"$instance", namespace=~"$namespace"}, netns)',
    )
      .label('Network namespace')
      .multi(false)
      .includeAll(false),
  ]
}

function datasourceVariable(): DatasourceVariableBuilder {
  return new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus')
}

function targetVariables(): readonly QueryVariableBuilder[] {
  return [
    // NB: .* and not .+, since most have no such label.
    query('cluster', `label_values(${EXPORTERS}, cluster)`)
      .label('Cluster')
      .multi(true)
      .includeAll(true)
      .allValue('.*')
      .current(all),
    query('job', `label_values(${EXPORTERS}{cluster=~"$cluster"}, job)`)
      .label('Job')
      .multi(true)
      .includeAll(true)
      .allValue('.+')
      .current(all),
  ]
}

function instanceVariable(): QueryVariableBuilder {
  return query('instance', `label_values(${EXPORTERS}{cluster=~"$cluster", job=~"$job"}, instance)`)
    .label('Instance')
    .multi(true)
    .allValue('.+')
}

/** NB: .* and not .+, since hosts and containers have none. */
function namespaceVariable(): QueryVariableBuilder {
  return query(
    'namespace',
    'label_values(ephemeral_port_netns_info{cluster=~"$cluster", job=~"$job", instance=~"$instance", namespace!=""}, namespace)',
  )
    .multi(true)
    .includeAll(true)
    .allValue('.*')
    .current(all)
}

function query(name: string, text: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .query(text)
    .definition(text)
    .datasource(datasource)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.NaturalAsc)
}
