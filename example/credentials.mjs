// What people type to sign up and to sign in, and what is wrong with it: `{ field: message }`, empty when all is well.

/** The typed values as text; anything else a form can carry (a file, a missing field) counts as empty. */
export function readCredentials(body) {
  const text = (value) => (typeof value === "string" ? value : "");
  return { username: text(body.username).trim(), password: text(body.password) };
}

/** Ada and ada are one name. */
export function keyOf(username) {
  return { providerId: "username", providerUserId: username.toLowerCase() };
}

export function missing({ username, password }) {
  return {
    ...(username === "" && { username: "Enter your user name." }),
    ...(password === "" && { password: "Enter your password." }),
  };
}

export function unsuitable({ username, password }) {
  const problems = {};
  if (username === "") problems.username = "Choose a user name.";
  else if (!/^[\w.-]{3,31}$/.test(username)) {
    problems.username = "Use 3 to 31 letters from a to z, digits, dots, hyphens or underscores.";
  }
  if (password === "") problems.password = "Choose a password.";
  else if ([...password].length < 8) problems.password = "Use at least 8 characters.";
  else if ([...password].length > 256) problems.password = "Use at most 256 characters.";
  return problems;
}
