/** Rows in columns as wide as their widest cell, two spaces apart. The first row is the head. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => lengthOf(row[column] ?? ''))))
  return rows
    .map(row =>
      row
        .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - lengthOf(cell)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function lengthOf(cell: string): number {
  return cell.replace(/\u001b\[\d+m/g, '').length
}
