// The recipes of docs/deployment.md, by their titles there. Each begins with a package.json and `server.js`.
//
//   files     the files that the recipe adds
//   commands  what is run in the project, as the document has it
//   moves     what of the folder `out` is copied to an empty one, and started there
//   start     how it is started
//   binaries  the platforms whose binaries are there in the end
//   variables the environment of the commands
//   lock      a package-lock.json that was made on another platform is there
const windows = { lock: ["--os=win32", "--cpu=x64"] };

export const recipes = [
  {
    title: "Docker", ...windows, files: ["Dockerfile"], variables: { TARGETARCH: "amd64" }, start: "node server.js",
    binaries: ["linux-x64-gnu"],
  },
  {
    title: "Docker", ...windows, files: ["Dockerfile"], variables: { TARGETARCH: "arm64" }, binaries: ["linux-arm64-gnu"],
  },
  {
    title: "Alpine", ...windows, commands: ["npm ci --omit=dev --os=linux --cpu=x64 --libc=musl"], binaries: ["linux-x64-musl"],
  },
  {
    title: "AWS Lambda on arm64", ...windows, commands: ["npm ci --omit=dev --os=linux --cpu=arm64 --libc=glibc"],
    binaries: ["linux-arm64-gnu"],
  },
  {
    title: "pnpm", files: ["pnpm-workspace.yaml"], commands: ["pnpm install"], start: "node server.js",
    binaries: ["linux-arm64-gnu", "linux-arm64-musl", "linux-x64-gnu", "linux-x64-musl"],
  },
  {
    title: "Yarn Plug'n'Play", files: [".yarnrc.yml"], commands: ["yarn install"], start: "yarn node server.js",
    binaries: ["linux-arm64-gnu", "linux-arm64-musl", "linux-x64-gnu", "linux-x64-musl"],
  },
  {
    title: "Bun's executables", commands: ["npm install", "bun build --compile server.js --outfile out/server"],
    moves: /^server$/, start: "./server",
  },
  {
    title: "Node's single executables", files: ["sea-config.json"],
    commands: [
      "npm install",
      "esbuild server.js --bundle --platform=node --format=cjs --outdir=out --out-extension:.js=.cjs --loader:.node=copy \\\n"
        + "  --banner:js='require = require(\"node:module\").createRequire(process.execPath);'",
      "node --experimental-sea-config sea-config.json",
      "cp \"$(command -v node)\" out/server",
      "postject out/server NODE_SEA_BLOB out/server.blob --sentinel-fuse NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2",
    ],
    moves: /^server$|\.node$/, start: "./server",
  },
  {
    title: "A binary of your own choice",
    commands: [
      "npm install",
      "esbuild server.js --bundle --platform=node --format=cjs --outfile=out/server.cjs --loader:.node=empty",
      "cp node_modules/lucia-postgres-native-linux-x64-gnu/*.node out/addon.node",
    ],
    moves: /^server\.cjs$|^addon\.node$/, start: "NAPI_RS_NATIVE_LIBRARY_PATH=$PWD/addon.node node server.cjs",
  },
];

/** What the recipes are run with. */
export const tools = {
  "@yarnpkg/cli-dist": "4.18.1", bun: "1.4.5", esbuild: "0.28.2", pnpm: "12.21.0", postject: "1.0.0-alpha.6",
};
