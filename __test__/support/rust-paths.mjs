// Reads which modules of the crate a Rust source file names, in `use` declarations and in paths within the code.

/** The source as a list of words and signs, without comments; a string literal becomes the sign `"`. */
export function tokens(source) {
  const pattern = new RegExp(
    [
      String.raw`\/\/[^\n]*`,
      String.raw`\/\*(?:[^*]|\*(?!\/))*\*\/`,
      String.raw`b?r(#*)"[^]*?"\1`,
      String.raw`[bc]?"(?:\\[^]|[^"\\])*"`,
      String.raw`b?'(?:\\(?:u\{[^}]*\}|[^])[0-9a-f]?|[^'\\])'`,
      String.raw`(?<word>r#\w+|[\p{L}_][\p{L}\p{N}_]*)`,
      String.raw`(?<sign>::|[^\s\w])`,
    ].join("|"),
    "gu",
  );
  return [...source.matchAll(pattern)].flatMap(({ 0: text, groups: { word, sign } }) => {
    if (word !== undefined) return [word.replace(/^r#/, "")];
    if (sign !== undefined) return [sign];
    return text.startsWith("/") ? [] : ['"'];
  });
}

/** The paths of one `use` tree from `list[at]` on, each with the name it gets here, and where the tree ends. */
function readTree(list, at, prefix = []) {
  let path = prefix;
  let alias;
  for (;;) {
    if (list[at] === "{") {
      const paths = [];
      at += 1;
      while (list[at] !== "}") {
        const inner = readTree(list, at, path);
        paths.push(...inner.paths);
        at = list[inner.at] === "," ? inner.at + 1 : inner.at;
      }
      return { paths, at: at + 1 };
    }
    if (list[at] === "::") at += 1;
    else if (list[at] === "self" && path.length > 0) at += 1;
    else if (list[at] === "as") {
      alias = list[at + 1];
      at += 2;
    }
    else if (/^[\p{L}_*]/u.test(list[at])) {
      path = [...path, list[at]];
      at += 1;
    } else return { paths: [{ path, name: alias ?? path.at(-1) }], at };
  }
}

/**
 * @param {string} source of a file
 * @param {string[]} home the file's module, as in `["pg", "row"]` for `src/pg/value/field.rs`
 * @returns the file's child modules in their order, which of them only tests have, what it re-exports under which name,
 *   and every path into the crate that it names, written from the crate's root
 */
export function readModule(source, home) {
  const list = tokens(source);
  const children = [];
  const testsOnly = [];
  const exported = [];
  const paths = [];
  const inline = [];
  let depth = 0;

  // `home` followed by the inline modules around this place.
  const absolute = (path) => {
    const around = [...home, ...inline.map(({ name }) => name)];
    if (path[0] === "crate") return path.slice(1);
    if (path[0] === "self") return [...around, ...path.slice(1)];
    let ups = 0;
    while (path[ups] === "super") ups += 1;
    if (ups > 0) return [...around.slice(0, around.length - ups), ...path.slice(ups)];
    return children.includes(path[0]) ? [...around, ...path] : undefined;
  };

  for (let at = 0; at < list.length; at += 1) {
    const [token, next, afterNext] = list.slice(at, at + 3);
    if (token === "{") depth += 1;
    else if (token === "}") {
      depth -= 1;
      if (inline.at(-1)?.depth === depth) inline.pop();
    } else if (token === "mod" && afterNext === ";") {
      if (inline.length > 0) continue;
      children.push(next);
      if (list.slice(0, at).join(" ").endsWith("# [ cfg ( test ) ]")) testsOnly.push(next);
    } else if (token === "mod" && afterNext === "{") {
      inline.push({ name: next, depth });
    } else if (token === "use") {
      const isPublic = list[at - 1] === "pub" || list[at - 1] === ")";
      const tree = readTree(list, at + 1);
      for (const { path, name } of tree.paths) {
        const target = absolute(path);
        if (!target) continue;
        paths.push(target);
        if (isPublic && inline.length === 0) exported.push({ name, target });
      }
      at = tree.at;
    } else if (next === "::" && list[at - 1] !== "::" && /^(crate|self|super)$|^\p{L}/u.test(token)) {
      const path = [token];
      const isVisibility = list.slice(at - 3, at).join("") === "pub(in";
      while (list[at + 1] === "::" && /^[\p{L}_]/u.test(list[at + 2] ?? "")) {
        path.push(list[at + 2]);
        at += 2;
      }
      const target = absolute(path);
      if (target && !isVisibility) paths.push(target);
    }
  }
  return { children, testsOnly, exported, paths };
}
