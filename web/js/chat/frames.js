// Work that is drawn at most once per frame, however often it is asked for.

const dueDraws = new Set();
let isFrameAsked = false;

function runFrame() {
  isFrameAsked = false;
  const draws = [...dueDraws];
  dueDraws.clear();
  for (const draw of draws) {
    try {
      draw();
    } catch (error) {
      reportError(error);
    }
  }
}

/** Calls `draw` in the next frame, once. */
export function inNextFrame(draw) {
  dueDraws.add(draw);
  if (isFrameAsked) return;
  isFrameAsked = true;
  requestAnimationFrame(runFrame);
}
