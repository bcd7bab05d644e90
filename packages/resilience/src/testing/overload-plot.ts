import type { OverloadReport } from './simulate-overload.ts'
import { drawn } from './svg.ts'
import type { Panel, Point } from './svg.ts'
import type { TimelineSlice } from './tally.ts'

const COLORS = ['#c0392b', '#8a8f98', '#d68910', '#1f6f8b', '#6c4f9c', '#3c8d40', '#a04070', '#5d6d7e']

/** What a plot says of itself. */
export interface OverloadPlotOptions {
  readonly title: string
  /** Lines under the title. @default none */
  readonly about?: readonly string[]
}

/**
 * Reports side by side as SVG text: goodput, calls refused, and the 99th percentile of the latency over time. Goodput is in parts of
 * the capacity of that time, latency in parts of the deadline.
 *
 * @param reports by the name that the legend gives them, all of one duration.
 */
export function overloadPlot(
  reports: Readonly<Record<string, OverloadReport>>,
  { title, about = [] }: OverloadPlotOptions,
): string {
  const named = Object.entries(reports)
  const panelOf = (
    label: string,
    yMax: number,
    valueOf: (slice: TimelineSlice, report: OverloadReport) => number,
    mark?: Panel['mark'],
  ): Panel => ({
    label,
    yMax,
    ...(mark !== undefined && { mark }),
    curves: named.map(([, report], index) => ({
      color: colorOf(index),
      points: report.timeline.map((slice): Point => [(slice.fromMs + slice.untilMs) / 2_000, valueOf(slice, report)]),
    })),
  })
  return drawn({
    title,
    about,
    secondsMax: Math.max(...named.map(([, { durationMs }]) => durationMs)) / 1_000,
    legend: named.map(([name], index) => ({ name, color: colorOf(index) })),
    panels: [
      panelOf('Answered in time, as a part of what the server can do', 1.2, slice => slice.good / slice.capacity, {
        y: 1,
        label: 'capacity',
      }),
      panelOf(
        '99th percentile of the latency, as a part of the deadline',
        2,
        (slice, report) => slice.latency.p99Ms / report.deadlineMs,
        {
          y: 1,
          label: 'deadline',
        },
      ),
      panelOf('Refused, as a part of what came', 1, ({ refused, offered }) => (offered === 0 ? 0 : refused / offered)),
    ],
  })
}

function colorOf(index: number): string {
  return COLORS[index % COLORS.length] as string
}
