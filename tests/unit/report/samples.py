"""A finished investigation's notebook, and everything an attacker would like it to run."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

if TYPE_CHECKING:
    import nbformat

HOSTILE_HTML = [
    "<script>{js}</script>",
    "<img src=x onerror='{js}'>",
    '<svg onload="{js}"><script>{js}</script></svg>',
    "<a href='javascript:{js}'>click me</a>",
    '<a href="data:text/html,<script>{js}</script>">data</a>',
    "<iframe srcdoc='<script>{js}</script>'></iframe>",
    '<details open ontoggle="{js}"><summary>x</summary></details>',
    '<style>@import "{url}style.css"; body{{background:url({url}bg.png)}}</style>',
    '<form action="{url}form"><input autofocus onfocus="{js}"></form>',
    '<meta http-equiv="refresh" content="0;url={url}meta">',
    '<link rel="stylesheet" href="{url}link.css">',
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror={js}&gt;">',
    '<img src="{url}pixel.png">',
    '<p style="background:url({url}inline.png);position:fixed;inset:0">over</p>',
    '<object data="{url}object"></object><embed src="{url}embed">',
    '<base href="{url}">',
    '"><script>{js}</script>',
    "\u202etxt.exe\u202c <b>right to left</b>",
    "\x1b[31mred\x1b[0m <script>{js}</script>",
]


def hostile(url: str = "http://127.0.0.1:9/canary/") -> str:
    """Return one text with every attack; each tries to reach `url` or to rename the document."""
    js = f"document.title=`owned`;fetch(`{url}js`)"
    return "\n".join(part.format(js=js, url=url) for part in HOSTILE_HTML)


def png(size: tuple[float, float] = (8.0, 4.2)) -> str:
    """Return a small chart as base64."""
    # Without pyplot: no global state, so tests may run in threads.
    figure = Figure(figsize=size, dpi=110)
    axes = figure.subplots()
    axes.plot([0, 2, 4, 6, 8], [1010, 1000, 1620, 1650, 1640], color="#0b6e99")
    axes.axvline(2, color="#b93c0a")
    axes.set_ylabel("mean distance, miles")
    axes.set_xlabel("hour, UTC")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


ANSWER = """<div class="tb"><div class="tb-top"><h2>flight-delay: drift</h2><ul class="tb-chips">
<li class="tb-chip bad">SEV2</li><li class="tb-chip">cause found</li><li class="tb-chip">still going on</li></ul></div>
<section class="tb-card"><p class="tb-lead"><b>distance arrives in kilometres since 02:05.</b> The model reads every flight as 61 % longer.</p>
<div class="tb-facts"><div><span>since</span><b>4 June 02:05 UTC</b> (01:55 to 02:10)</div>
<div><span>predictions likely wrong</span><b>18,200</b> (11,000 to 24,000)</div>
<div><span>late share predicted</span><b>31 %</b>, was 18 %</div><div><span>next</span><b>restore features to 01:00</b></div></div></section>
<section class="tb-card"><h2>Why we think so</h2>
<div class="tb-hyp"><div><div class="tb-p">0.86</div><div class="tb-bar"><i style="width:86%"></i></div></div>
<div><h3>Unit change in features.distance</h3><p><b>for</b> every value × 1.609 from batch 02:00 on <a href="#cell-id=chart">see</a></p><p><b>against</b> nothing found</p></div></div>
<div class="tb-hyp dim"><div><div class="tb-p">0.06</div><div class="tb-bar"><i style="width:6%"></i></div></div>
<div><h3>Seasonal movement of features.distance</h3><p><b>against</b> +2 % a year before, not +61 %</p></div></div></section>
<section class="tb-card"><h2>What we looked at, and what we could not</h2><ul class="tb-led"><li class="tb-chip">metrics 41 series</li>
<li class="tb-chip miss">logs: no answer in 4 s</li></ul></section></div>"""


def investigation(attack: str = "") -> nbformat.NotebookNode:
    """Return an executed notebook; `attack` goes to every place where outside text can stand."""
    error = new_output(
        "error",
        ename="SourceTimeoutError",
        evalue=f"loki did not answer {attack}",
        traceback=["\x1b[31mTraceback\x1b[0m (most recent call last)", f"  {attack}"],
    )
    chart = png()
    escaped = attack.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    cells = [
        new_markdown_cell("# flight-delay: drift\n\nInputs moved away from their past."),
        new_code_cell("window_h = 48  # hours", metadata={"tags": ["parameters"]}, id="parameters"),
        new_code_cell("window_h = 24", metadata={"tags": ["injected-parameters"]}, id="injected"),
        new_code_cell(
            "run.answer()",
            outputs=[
                new_output("display_data", data={"text/html": ANSWER, "text/plain": "answer"})
            ],
        ),
        new_markdown_cell(f"## Did distance really change?\n\nBlue is now, grey before.\n{attack}"),
        new_code_cell(
            "run.show('psi')",
            id="chart",
            outputs=[
                new_output(
                    "display_data",
                    data={"image/png": chart, "text/plain": "<Figure>"},
                    metadata={"image/png": {"alt": "Mean distance jumps at 02:05."}},
                ),
                new_output(
                    "display_data",
                    data={
                        "text/html": f'<figure class="tb-fig"><img src="data:image/png;base64,{chart}" '
                        f'alt="The same, as HTML."><figcaption>caption</figcaption></figure>{attack}'
                    },
                ),
            ],
        ),
        new_markdown_cell(
            "## Which columns moved?\n\n| column | PSI | reference mean | current mean | share missing | verdict |\n"
            "|---|---|---|---|---|---|\n"
            + "".join(
                f"| features.{name} | 0.{i}1 | 1000.25 | 1610.75 | 0.001 | bad |\n"
                for i, name in enumerate(["distance", "dep_delay_minutes", "wind_speed_knots"])
            )
        ),
        new_code_cell(
            "run.log_lines()",
            outputs=[
                new_output("stream", name="stdout", text=f"\x1b[33mWARN\x1b[0m {attack}\n"),
                new_output("stream", name="stderr", text=f"warned {attack}\n"),
                new_output("execute_result", data={"text/plain": f"'{attack}'"}),
                new_output("display_data", data={"text/html": f"<pre>{escaped}</pre>"}),
                new_output("display_data", data={"image/svg+xml": f"<svg>{attack}</svg>"}),
                new_output("display_data", data={"application/javascript": attack}),
                new_output("display_data", data={"text/markdown": attack or "**strong**"}),
                new_output(
                    "display_data",
                    data={"application/scrapbook.scrap.json+json": {"name": "psi", "data": 1}},
                ),
            ],
        ),
        new_markdown_cell("## What do the logs say?"),
        new_code_cell("run.logs()", outputs=[error], metadata={"papermill": {"status": "failed"}}),
        new_code_cell("run.more()", metadata={"papermill": {"status": "not_run"}}),
        new_markdown_cell("## Postmortem\n\nWhat went well: …", metadata={"tags": ["human"]}),
    ]
    return new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})
