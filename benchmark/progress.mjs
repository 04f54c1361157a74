/**
 * Returns a function that tells what is being done now: on a terminal in one line that the next one overwrites,
 * elsewhere in one line for every cell. Without arguments it clears the line.
 */
export function progressOver(total) {
  const started = performance.now();
  const terminal = process.stderr.isTTY;
  let done = -1;
  let last;
  return (cell, detail) => {
    done += 1;
    const minutes = Math.ceil(((performance.now() - started) / done) * (total - done) / 60_000);
    const line = `[${done}/${total}${done > 0 ? `, ${minutes} min left` : ""}] ${cell}`;
    if (terminal) process.stderr.write(cell ? `\r\x1b[K${line}, ${detail}` : "\r\x1b[K");
    else if (cell && cell !== last) process.stderr.write(`${line}\n`);
    last = cell;
  };
}
