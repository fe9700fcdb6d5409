"""The panels of the dashboards: time series, single values, bars, and tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import table as tables
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    Panel,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH: Final = 24
"""Columns of Grafana's grid."""
HEIGHT: Final = 8


@dataclass(frozen=True)
class Query:
    """A PromQL expression and the name of its series, as in Grafana's legend format."""

    expression: str
    legend: str


def lines(
    title: str, description: str, *queries: Query, unit: str = "short", span: int = 8, stacked: bool = False
) -> Builder[Panel]:
    """Return a panel with series over time."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .min(0)
        .height(HEIGHT)
        .span(span)
        .fill_opacity(35 if stacked else 8)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    for query in queries:
        panel.with_target(_target(query))
    return panel


def figures(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    span: int = 6,
    decimals: int | None = None,
    named: bool = False,
) -> Builder[Panel]:
    """Return a panel with the latest value of each series. ``named`` shows only names, for series that are always 1."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .height(HEIGHT // 2)
        .span(span)
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.VALUE)
        .text_mode(BigValueTextMode.NAME if named else BigValueTextMode.VALUE_AND_NAME)
        .reduce_options(_latest())
    )
    if decimals is not None:
        panel.decimals(decimals)
    for query in queries:
        panel.with_target(_target(query).instant())
    return panel


def bars(
    title: str, description: str, *queries: Query, unit: str = "short", span: int = 8, least: float | None = 0
) -> Builder[Panel]:
    """Return a panel with the latest values as bars. Bars start at ``least``, or at the lowest value if it is None."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .height(HEIGHT)
        .span(span)
        .display_mode(BarGaugeDisplayMode.BASIC)
        .orientation(VizOrientation.HORIZONTAL)
        .reduce_options(_latest())
    )
    if least is not None:
        panel.min(least)
    for query in queries:
        panel.with_target(_target(query).instant())
    return panel


def table(
    title: str, description: str, query: Query, *, columns: Sequence[str], linked: str, url: str
) -> Builder[Panel]:
    """Return a table with a row for each series. ``columns`` are labels; the label ``linked`` links to ``url``."""
    link = {"title": "Open", "url": url, "targetBlank": False}
    order = {
        "indexByName": {name: index for index, name in enumerate(columns)},
        "excludeByName": {"Time": True, "Value": True},
        "renameByName": {},
    }
    return (
        tables.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .height(HEIGHT * 2)
        .span(WIDTH)
        .filterable(True)
        .with_transformation(DataTransformerConfig(id_val="organize", options=order))
        .override_by_name(linked, [DynamicConfigValue("links", [link])])
        .with_target(_target(query).instant().format(PromQueryFormat.TABLE))
    )


def _target(query: Query) -> prometheus.Dataquery:
    return prometheus.Dataquery().datasource(DATASOURCE).expr(query.expression).legend_format(query.legend)


def _latest() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
