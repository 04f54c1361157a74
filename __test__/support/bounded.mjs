// Waiting for something that a defect could keep from ever happening.

/** What `promise` becomes, or an error that says what did not happen within so many seconds. */
export async function within(seconds, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`within ${seconds} s this did not happen: ${what}`)), seconds * 1000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again and again, until `probe` answers with something true. */
export async function eventually(seconds, what, probe) {
  let over = false;
  const asking = (async () => {
    while (!over) {
      const answer = await probe();
      if (answer) return answer;
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
  })();
  try {
    return await within(seconds, what, asking);
  } finally {
    over = true;
  }
}
