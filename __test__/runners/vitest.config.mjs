// Vitest's memory of earlier runs stays out of the tree.
export default { cacheDir: new URL("../../node_modules/.cache/vitest", import.meta.url).pathname };
