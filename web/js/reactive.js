// Values that tell their readers when they change, and what is disposed together.

/** What reads signals now: the effect that runs, or null. */
let reader = null;
/** What new effects and cleanups belong to. */
let owner = null;
let depth = 0;
const due = new Set();

/** A value: `value()` reads it, and whoever reads it within an effect runs again when it changes. */
export function signal(initial) {
  let current = initial;
  const readers = new Set();
  const value = () => {
    if (reader) {
      readers.add(reader);
      reader.sources.add(readers);
    }
    return current;
  };
  /** Reads without being told of changes. */
  value.peek = () => current;
  value.set = (next) => {
    if (Object.is(next, current)) return;
    current = next;
    for (const effect of readers) due.add(effect);
    if (!depth) runDue();
  };
  value.update = (change) => value.set(change(current));
  return value;
}

/** Runs `change`; effects run once, after it. */
export function batch(change) {
  depth += 1;
  try {
    return change();
  } finally {
    depth -= 1;
    if (!depth) runDue();
  }
}

function runDue() {
  depth += 1;
  try {
    // An effect may make others due, also itself; one that never rests is a fault.
    for (let rounds = 0; due.size; rounds += 1) {
      if (rounds > 100000) throw new Error("effects change what they read without end");
      const [next] = due;
      due.delete(next);
      if (next.isAlive) next.run();
    }
  } finally {
    depth -= 1;
  }
}

function ownedNode(parent) {
  const node = { children: new Set(), cleanups: [], sources: new Set(), isAlive: true };
  parent?.children.add(node);
  return node;
}

function clear(node) {
  for (const child of node.children) {
    child.isAlive = false;
    clear(child);
  }
  for (const cleanup of node.cleanups) cleanup();
  for (const readers of node.sources) readers.delete(node);
  node.children.clear();
  node.cleanups = [];
  node.sources.clear();
}

function within(node, asReader, work) {
  const before = [owner, reader];
  [owner, reader] = [node, asReader];
  try {
    return work();
  } finally {
    [owner, reader] = before;
  }
}

/** Runs `work` now and again whenever a signal that it read changes. */
export function effect(work) {
  const node = ownedNode(owner);
  node.run = () => {
    clear(node);
    try {
      within(node, node, work);
    } catch (error) {
      reportError(error);
    }
  };
  node.run();
}

/** A signal that is made of others. */
export function computed(make) {
  const value = signal(undefined);
  effect(() => value.set(make()));
  return value;
}

/** Runs `work` without being told of changes of what it reads. */
export function untracked(work) {
  return within(owner, null, work);
}

/** Runs `work`; what it makes lives until the function that comes back beside its result is called, or its owner goes. */
export function scoped(work) {
  const node = ownedNode(owner);
  const parent = owner;
  const result = within(node, null, work);
  const dispose = () => {
    node.isAlive = false;
    clear(node);
    parent?.children.delete(node);
  };
  return [result, dispose];
}

/** Gives a function that runs work as what runs now would: what it makes lives as long as this does, not as the effect that calls it. */
export function keepOwner() {
  const kept = owner;
  return (work) => within(kept, null, work);
}

/** Runs `cleanup` when the effect or scope that runs now goes or runs again. */
export function onCleanup(cleanup) {
  owner?.cleanups.push(cleanup);
}
