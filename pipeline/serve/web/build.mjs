// Bundle the map into dist/: JavaScript modules, styles, MapLibre's worker, outlines of countries, licences.
import { build } from "esbuild";
import { cp, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

const out = process.argv[2] ?? "dist";
const modules = "node_modules";

async function licences() {
  const packages = Object.keys(JSON.parse(await readFile("package-lock.json", "utf8")).packages);
  const texts = [];
  for (const path of packages.filter((each) => each.startsWith(modules))) {
    const files = await readdir(path).catch(() => []);
    const name = files.find((each) => /^licen[cs]e/i.test(each));
    const about = JSON.parse(await readFile(join(path, "package.json"), "utf8").catch(() => "{}"));
    if (!shipped.has(about.name)) continue;
    const text = name ? await readFile(join(path, name), "utf8") : `${about.license}, ${about.repository?.url ?? ""}`;
    texts.push(`${about.name} ${about.version}\n\n${text}`);
  }
  return texts.join(`\n${"-".repeat(80)}\n`);
}

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const made = await build({
  entryPoints: ["src/main.js", "src/style.css"],
  outdir: join(out, "assets"),
  bundle: true,
  splitting: true,
  format: "esm",
  minify: true,
  target: "es2022",
  chunkNames: "[name]-[hash]",
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});
const shipped = new Set(["maplibre-gl", "world-atlas"]);
for (const path of Object.keys(made.metafile.inputs)) {
  const found = path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/);
  if (found) shipped.add(found[1]);
}
await cp("static", out, { recursive: true });
await cp(`${modules}/maplibre-gl/dist/maplibre-gl-worker.mjs`, join(out, "assets", "worker.mjs"));
await cp(`${modules}/world-atlas/countries-110m.json`, join(out, "assets", "countries-110m.json"));
await cp(`${modules}/world-atlas/countries-50m.json`, join(out, "assets", "countries-50m.json"));
await writeFile(join(out, "assets", "licences.txt"), await licences());
