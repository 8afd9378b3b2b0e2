"""How a report looks: its style sheet and its mark."""

MARK = (
    '<svg viewBox="0 0 22 16" width="22" height="16" aria-hidden="true">'
    '<path d="M1 3l5-2v14l-5-2z"/><path d="M7.5 1h7v14h-7z"/><path d="M16 1l5 2v10l-5 2z"/></svg>'
)

STYLE = """
:root {
  --paper: #fdfdfb; --panel: #f4f4f0; --ink: #1b1b1f; --muted: #62626b; --line: #dcdcd8;
  --blue: #0072b2; --orange: #c85400; --right: #d8ecdf; --right-ink: #0a5c36;
  --wrong: #fbe0d3; --wrong-ink: #9a3300;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16171a; --panel: #1f2125; --ink: #ecebe6; --muted: #a3a3ab; --line: #3a3c42;
    --blue: #58b4ee; --orange: #f58a45; --right: #143a29; --right-ink: #8fdcb2;
    --wrong: #47210f; --wrong-ink: #ffb48e;
  }
  figure svg image { filter: brightness(1.5); }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  margin: 0 auto; max-width: 60rem; padding: 3rem 1.5rem 5rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
.mark {
  display: flex; gap: .55rem; align-items: center; margin: 0 0 2.2rem;
  color: var(--muted); font-size: .85rem; letter-spacing: .04em;
}
.mark path { fill: none; stroke: var(--blue); stroke-width: 1.3; stroke-linejoin: round; }
h1 { margin: 0; font-size: 2.3rem; line-height: 1.15; letter-spacing: -.02em; font-weight: 680; }
h1, h2, .lead { text-wrap: balance; }
.lead { margin: .8rem 0 0; max-width: 44rem; color: var(--muted); font-size: 1.18rem; }
nav ul {
  display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; margin: 1.8rem 0 0; padding: .8rem 0;
  border: solid var(--line); border-width: 1px 0; list-style: none; font-size: .9rem;
}
a { color: var(--blue); text-underline-offset: .2em; text-decoration-thickness: 1px; }
section { margin-top: 3.2rem; }
h2 { margin: 0 0 1rem; font-size: 1.35rem; letter-spacing: -.01em; font-weight: 650; }
p { max-width: 44rem; }
.scores {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: 1rem;
  margin: 0 0 1.6rem;
}
.scores div { padding: 1rem 1.15rem; border-radius: .6rem; background: var(--panel); }
.scores dt { color: var(--muted); font-size: .85rem; }
.scores dd {
  margin: .1rem 0 0; font-size: 2rem; line-height: 1.25; font-weight: 620;
  letter-spacing: -.02em; font-variant-numeric: tabular-nums;
}
.scores small {
  display: block; color: var(--muted); font-size: .8rem; line-height: 1.4; font-weight: 400;
  letter-spacing: 0;
}
.wide { overflow-x: auto; }
.wide + .wide { margin-top: 1.8rem; }
table { width: 100%; border-collapse: collapse; font-size: .93rem; }
th, td {
  padding: .45rem .9rem .45rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top;
}
thead th { color: var(--muted); font-weight: 500; font-size: .85rem; }
.facts th { width: 13rem; color: var(--muted); font-weight: 400; }
.facts td { overflow-wrap: anywhere; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1.6rem 0 0; }
figure svg, figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figure svg text { font-family: system-ui, -apple-system, "Segoe UI", sans-serif !important; }
figure img { border-radius: .4rem; background: #fff; }
figcaption { margin: .9rem 0 0; max-width: 44rem; color: var(--muted); font-size: .9rem; }
.sample { padding: .95rem 0; border-top: 1px solid var(--line); }
.sample:last-child { border-bottom: 1px solid var(--line); }
.sample dl { display: grid; grid-template-columns: 6rem 1fr; gap: .15rem .8rem; margin: 0; }
.sample dt { color: var(--muted); font-size: .82rem; line-height: 1.95; }
.sample dd { margin: 0; overflow-wrap: anywhere; }
.sample .reference { color: var(--muted); }
.sample .output { font-weight: 550; }
.sample span { margin-left: .5rem; font-size: .8rem; font-weight: 500; white-space: nowrap; }
span.right { color: var(--right-ink); }
span.wrong { color: var(--wrong-ink); }
mark { padding: .05em .25em; border-radius: .25em; }
mark.right { background: var(--right); color: var(--right-ink); }
mark.wrong {
  background: var(--wrong); color: var(--wrong-ink);
  text-decoration: underline wavy 1px; text-underline-offset: .2em;
}
.command { margin-top: 1.1rem; }
.command p { margin: 0 0 .35rem; color: var(--muted); font-size: .93rem; }
pre {
  margin: 0; padding: .75rem 1rem; white-space: pre-wrap; border-radius: .5rem;
  background: var(--panel); font-size: .87rem; line-height: 1.5;
}
code { font-family: ui-monospace, "SF Mono", "Cascadia Code", Menlo, Consolas, monospace; }
@media (max-width: 36rem) {
  body { padding: 1.6rem 1rem 3rem; }
  h1 { font-size: 1.8rem; }
  .sample dl { grid-template-columns: 1fr; gap: 0; }
  figure svg, figure img { max-width: none; }
}
@media print {
  :root {
    --paper: #fff; --panel: #f4f4f0; --ink: #000; --muted: #444; --line: #ccc;
    --blue: #0072b2; --orange: #c85400; --right: #e3f1e8; --right-ink: #0a5c36;
    --wrong: #fbe8df; --wrong-ink: #9a3300;
  }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  nav { display: none; }
  figure svg image { filter: none; }
  h2 { break-after: avoid; }
  figure, .sample, .scores, .command, tr { break-inside: avoid; }
}
"""
