// What a page has to be for everybody: usable by keyboard, on a small screen, and through a screen reader.
import assert from "node:assert/strict";

import axe from "axe-core";

/** Presses a button and waits for the page that answers, also when it is at the same address. */
export async function press(page, name) {
  await Promise.all([page.waitForEvent("load"), page.getByRole("button", { name, exact: true }).click()]);
}

/** What a screen reader says about a field after its label. */
export function description(page, label) {
  return page.getByLabel(label).evaluate((input) => {
    const ids = (input.getAttribute("aria-describedby") ?? "").split(" ").filter(Boolean);
    return ids.map((id) => globalThis.document.getElementById(id).textContent).join("\n");
  });
}

/** Neither axe finds a fault, in the light and in the dark, nor is anything too wide, too small to hit, or scripted. */
export async function assertAccessible(page) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.evaluate(axe.source);
    const found = await page.evaluate(() =>
      globalThis.axe.run(globalThis.document, {
        runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
      }),
    );
    const lines = found.violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
    assert.deepEqual(lines, [], `${page.url()} in the ${colorScheme} scheme`);
  }
  await page.emulateMedia({ colorScheme: null });

  const size = page.viewportSize();
  for (const width of [size.width, 320]) {
    await page.setViewportSize({ ...size, width });
    const measured = await page.evaluate(() => {
      const { documentElement: root } = globalThis.document;
      const targets = [...globalThis.document.querySelectorAll("button, input:not([type=hidden]), nav a, .button")];
      return {
        overflow: root.scrollWidth - root.clientWidth,
        small: targets.filter((target) => target.getBoundingClientRect().height < 44).map((target) => target.outerHTML),
        scripts: globalThis.document.scripts.length,
      };
    });
    assert.deepEqual(measured, { overflow: 0, small: [], scripts: 0 }, `${page.url()}, ${width} wide`);
  }
  await page.setViewportSize(size);
}

/** Goes on with the tabulator key, and says what has the focus, and whether that can be seen. */
export async function tab(page) {
  await page.keyboard.press("Tab");
  return page.evaluate(() => {
    const { activeElement: at } = globalThis.document;
    const { outlineStyle, outlineWidth } = globalThis.getComputedStyle(at);
    const name = at.labels?.[0]?.textContent ?? at.textContent.trim();
    return { name, outlined: outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2 };
  });
}
