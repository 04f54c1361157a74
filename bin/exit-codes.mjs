/** What `check` exits with, and what that means. */
export const exitCodes = {
  well: [0, "nothing to do"],
  wrong: [1, "something is missing or mistyped: calls will fail, or errors go unnoticed"],
  usage: [2, "wrong arguments"],
  unreachable: [3, "the server cannot be reached, or does not let this user in"],
  slow: [4, "everything works, but something is slow or not safe"],
};
