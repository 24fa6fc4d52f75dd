"""Names for everything of a made-up company, drawn anew for each seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

_WORDS = """
abacus acorn agate albatross alder almanac alpaca amber anchor anvil apricot aster atlas auburn
badger bamboo banyan barley basalt beacon bellows birch bison bobcat bramble brass briar bronze
cactus calico candle canyon caraway cardinal caribou cedar chisel cicada cinder citrus clover cobalt
compass condor copper coral cormorant cosmos cotton coyote crane cricket crimson cypress dahlia
delta dingo dolphin dovetail dune ebony egret elder ember emerald ermine falcon fathom fennel fern
ferret finch fjord flint foxglove galleon gannet garnet gazelle geyser ginger glacier gopher granite
grouse gull harbor harrier hazel heather heron hickory hollow hornet ibex indigo iris ivory jackal
jasper juniper kelp kestrel kingfisher lagoon lantern larch lark lava lichen lilac linden lotus lynx
magnet magpie mallard mango maple marble marlin marten meadow merlin mica mistral monsoon moose
moraine moss mulberry muskox mustang narwhal nectar nettle nickel nimbus nutmeg oasis obsidian ocelot
olive onyx opal orchid oriole osprey otter paddle papaya pebble pelican peony pepper petrel pewter
pine plover plum poplar poppy prairie prism puffin pumice quail quarry quartz quill quince
rampart raven reed ridge robin rowan rubicon russet saffron sable sage salmon sandpiper sapphire
savanna sepia sequoia serval shale sierra silver skylark slate sorrel sparrow spruce starling stork
sumac swallow sycamore tamarind tangerine teal tern thicket thistle thrush tidal timber topaz toucan
tundra turnip umber upland valley vanilla velvet verbena viper walnut walrus warbler willow wombat
wren yarrow yucca zephyr zinnia zircon acacia agave alcove antler arbor aspen auk axle azalea balsam
barque basil beetle bittern blossom bluff bolt boulder breeze brook buckle bulwark burrow buttercup
cairn camellia canopy caper carob cascade cassia cavern celadon chalk chamois chestnut chicory cirrus
citadel clay cliff cobble cockle comet conifer cormo cove cowrie crag crescent crocus crystal curlew
damson dapple dawn dewdrop drift drum dusk eider elm estuary falls fawn fen fig firth flax foal fog
forge fossil fountain frost garlic gecko gentian gibbon glade glen gorge gorse granary gravel grotto
grove guava halyard hare hawthorn haze hearth hedge helm hemlock hillock hoopoe horizon hyacinth ice
inlet iron isle ivy jade jay jetty juno kale kite knoll koala larkspur latch lattice laurel leaf ledge
lemur lily limestone linnet llama loam locust loom lupin lyre macaw mantis marigold marsh mast meteor
millet mint mole moor mullet myrtle nacre needle nene newt nova oak oat oriel orca otis oyster parsley
peak peat pecan perch pike pinion pipit pitcher plateau pollen pond puma pylon rabbit rain rattan reef
rill river rook rose rudder rye saddle sail salt sardine satin scallop sedge shell shoal shore shrike
skiff sky slope snipe sole spire spring squid stone straw stream sun swan swift tamarack tapir tarn
teasel tempest terrace thorn thyme tide torrent trail trout tulip turtle vale veery verdant vine vista
vole weasel whale wharf wheat willet wisp wolf wood yak yam
""".split()  # noqa: SIM905 - a list of 480 words in quotes would not fit a page

_KINDS: dict[str, tuple[str, ...]] = {
    "gateway": ("gateway", "edge", "ingress", "proxy", "front", "router", "lb"),
    "api": ("api", "svc", "scoring", "serving", "app", "backend", "inference-api", "decision"),
    "features": (
        "features",
        "feature-store",
        "fs",
        "lookup",
        "profiles",
        "online-store",
        "vectors",
    ),
    "cache": ("cache", "redis", "memcached", "kv", "hot", "valkey"),
    "model": ("model", "predictor", "infer", "triton", "runtime", "ranker", "engine"),
    "database": ("db", "postgres", "mysql", "store", "primary", "sql", "ledger"),
    "external": ("partner", "geo", "vendor", "enrich", "screening", "bureau", "fx"),
    "tenant": ("batch", "etl", "report", "backup", "indexer", "crawler", "compactor", "scan"),
}
_NOUNS = """
orders sessions payments clicks carts shipments quotes claims tickets bookings trips visits invoices
profiles devices merchants routes prices stock returns reviews searches logins transfers deposits
tariffs rentals vouchers coupons stays meals lessons exams patients samples lots batches pallets
parcels drivers riders fares tolls permits grants pledges donations leads campaigns audits alarms tasks
notes posts likes follows streams tracks scores matches wagers payouts refunds disputes chargebacks
readings sensors meters listings offers bids imports exports contracts policies loans accounts
""".split()  # noqa: SIM905 - as above
_STEPS: dict[str, tuple[str, ...]] = {
    "wait": ("wait_for", "sense", "await_input", "poll_source", "check_arrival"),
    "ingest": ("ingest", "load", "extract", "pull", "land", "import"),
    "validate": ("validate", "check", "audit", "expect", "gate", "verify"),
    "features": ("features", "build_features", "transform", "enrich", "aggregate", "featurize"),
    "train": ("train", "fit", "retrain", "learn", "tune"),
    "publish": ("publish", "export", "write_store", "materialize", "sync_online", "push"),
    "deploy": ("deploy", "rollout", "promote", "release", "ship"),
    "supply": ("deliver", "dump", "send", "unload"),
    "report": ("report", "summarize", "metrics", "stats", "digest"),
}
_PEOPLE = ("maren", "tobias", "ines", "kofi", "yuki", "oleg", "priya", "luca", "noor", "ada", "bram", "ci", "release-bot", "argo", "renovate")  # fmt: skip
_HEX = "0123456789abcdef"
_POD = "bcdfghjklmnpqrstvwxz2456789"


class Namer:
    """Draws names, no word twice.

    Parameters
    ----------
    rng : Generator
        The order of words and the style of names follow from it.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._words = [str(w) for w in rng.permutation(_WORDS)]
        self._nouns = [str(w) for w in rng.permutation(_NOUNS)]
        self._service_style = int(rng.integers(3))
        self._pod_style = int(rng.integers(4))
        self._host_style = int(rng.integers(5))
        self._company = self.word()
        self._hosts = 0

    def word(self) -> str:
        """Draw a word that nothing is called yet."""
        return self._words.pop()

    def noun(self) -> str:
        """Draw what a table holds."""
        return self._nouns.pop()

    def pick(self, options: Sequence[str]) -> str:
        """Draw one of several."""
        return str(options[int(self._rng.integers(len(options)))])

    def person(self) -> str:
        """Draw who did something."""
        return self.pick(_PEOPLE)

    def service(self, role: str) -> str:
        """Name a service: a word with its role, the role with a word, or a word alone."""
        kind = self.pick(_KINDS[role])
        return (f"{self.word()}-{kind}", f"{kind}-{self.word()}", self.word())[self._service_style]

    def task(self, step: str) -> str:
        """Name a task of a pipeline."""
        return f"{self.pick(_STEPS[step])}_{self.pick(self._nouns)}"

    def text(self, length: int, alphabet: str = _HEX) -> str:
        """Draw letters, as in a hash."""
        return "".join(alphabet[i] for i in self._rng.integers(len(alphabet), size=length))

    def pods(self, service: str, count: int) -> tuple[str, ...]:
        """Name the replicas of a service, as a Deployment, a StatefulSet, or machines do."""
        if self._pod_style == 0:
            tail = self.text(10)
            return tuple(f"{service}-{tail}-{self.text(5, _POD)}" for _ in range(count))
        if self._pod_style == 1:
            return tuple(f"{service}-{i}" for i in range(count))
        if self._pod_style == 2:
            return tuple(f"{service}-i-0{self.text(8)}" for _ in range(count))
        return tuple(f"{service}-{self.text(4)}" for _ in range(count))

    def host(self, pool: str) -> str:
        """Name a host of a pool such as "gpu"."""
        self._hosts += 1
        a, b = (int(n) for n in self._rng.integers(1, 255, size=2))
        return (
            f"ip-10-{a % 32}-{b}-{int(self._rng.integers(4, 250))}",
            f"{self._company}-{pool}-{self._hosts:02d}",
            f"gke-{self._company}-{pool}-{self.text(4)}-{self.text(4, _POD)}",
            f"node-{self.text(6)}",
            f"{self.word()}{a % 90 + 10}",
        )[self._host_style]
