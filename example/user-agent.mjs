// A `User-Agent` header in words a person recognises. The order matters: most browsers also name the ones they imitate.
const browsers = [
  [/Edg(?:e|A|iOS)?\//, "Edge"],
  [/OPR\/|Opera/, "Opera"],
  [/Vivaldi\//, "Vivaldi"],
  [/SamsungBrowser\//, "Samsung Internet"],
  [/Firefox\/|FxiOS\//, "Firefox"],
  [/Chrome\/|Chromium\/|CriOS\//, "Chrome"],
  [/Safari\//, "Safari"],
  [/curl\//, "curl"],
];
const systems = [
  [/iPhone|iPod/, "iPhone", true],
  [/iPad/, "iPad", true],
  [/Android/, "Android", true],
  [/Windows/, "Windows", false],
  [/Mac OS X|Macintosh/, "macOS", false],
  [/CrOS/, "ChromeOS", false],
  [/Linux/, "Linux", false],
];

/** @returns {{ name: string, handheld: boolean }} the name is like `Firefox on Android` */
export function describeUserAgent(userAgent) {
  const [, browser = "Unknown browser"] = browsers.find(([pattern]) => pattern.test(userAgent)) ?? [];
  const [, system, handheld = false] = systems.find(([pattern]) => pattern.test(userAgent)) ?? [];
  return { name: system ? `${browser} on ${system}` : browser, handheld };
}
