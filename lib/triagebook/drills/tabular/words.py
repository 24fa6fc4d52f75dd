"""Words that names are drawn from, so that no two companies share theirs."""

from __future__ import annotations

NOUNS = (
    "claim", "parcel", "order", "invoice", "ticket", "visit", "booking", "payment", "loan", "refund",
    "policy", "session", "trip", "delivery", "listing", "quote", "contract", "return", "shipment",
    "transfer", "meter", "sample", "lease", "permit", "batch", "cargo", "harvest", "voucher", "docket",
    "account", "subscription", "appointment", "application", "incident", "inspection", "turbine",
    "container", "pallet", "ride", "donation", "prescription", "referral", "auction", "bid",
)  # fmt: skip
QUALITIES = (
    "risk", "fraud", "delay", "churn", "default", "scrap", "no-show", "return", "upsell", "spoilage",
    "breach", "dispute", "damage", "overrun", "lapse", "failure", "escalation", "abuse",
)  # fmt: skip
CODENAMES = (
    "heron", "basalt", "juniper", "quartz", "osprey", "tundra", "marlin", "saffron", "cobalt", "lichen",
    "petrel", "mesa", "harbor", "aspen", "granite", "kestrel", "delta", "fjord", "maple", "onyx",
    "plover", "sierra", "thistle", "umber", "vireo", "willow", "zephyr", "amber", "birch", "cedar",
    "drift", "ember", "flint", "grove", "hazel", "indigo", "jasper", "krill", "lotus", "mica",
)  # fmt: skip
SIDES = (
    "customer", "provider", "merchant", "carrier", "branch", "supplier", "partner", "depot", "agent",
    "vendor", "clinic", "store", "station", "broker", "plant", "route", "seller", "garage", "farm",
)  # fmt: skip
TEAMS = (
    "data-eng", "platform", "ml-core", "scoring", "ingestion", "warehouse", "web", "growth", "ops",
    "infra", "mlops", "analytics", "risk-ml", "feeds", "delivery-eng", "insights",
)  # fmt: skip

VERBS = {
    "ingest": ("ingest", "extract", "land", "pull", "import", "load_raw", "fetch", "collect"),
    "load_side": ("snapshot", "sync", "refresh_dim", "load_ref", "mirror", "dump"),
    "validate": ("validate", "check_contract", "expectations", "quality_gate", "assert_schema"),
    "build": (
        "build_features",
        "featurize",
        "transform",
        "derive",
        "assemble",
        "prepare",
        "enrich",
    ),
    "score": ("score", "predict", "infer", "apply_model", "batch_predict", "evaluate_rows"),
    "publish": ("publish", "export_scores", "push", "deliver", "write_back", "notify_downstream"),
    "join_labels": ("join_labels", "collect_outcomes", "settle", "match_outcomes", "label_sync"),
    "train": ("train", "fit", "retrain", "learn", "refit"),
    "deploy": ("deploy_model", "promote", "release", "rollout", "register"),
    "export": ("export", "nightly_export", "publish_feed", "deliver_feed", "unload"),
}
RAW_TABLE = ("raw_{n}s", "stg_{n}", "{n}s_in", "{n}_events", "landing_{n}s", "bronze_{n}", "{n}s")
SIDE_TABLE = ("dim_{s}", "{s}_profiles", "{s}s", "ref_{s}", "{s}_master", "{s}_snapshot")
FEATURE_TABLE = (
    "{n}_features",
    "feat_{n}",
    "gold_{n}",
    "fs_{n}_v{d}",
    "{n}_inputs",
    "model_inputs_{n}",
)
PREDICTION_TABLE = ("{n}_scores", "{n}_predictions", "scored_{n}s", "pred_{n}", "{n}_inference")
LABEL_TABLE = (
    "{n}_outcomes",
    "{n}_labels",
    "settled_{n}s",
    "truth_{n}",
    "{n}_results",
    "{n}_feedback",
)

KEY = ("{n}_id", "id", "{n}_no", "{n}_uuid", "pk", "{n}_ref", "row_key")
SIDE_KEY = ("{s}_id", "{s}_code", "{s}_no", "{s}", "{s}_key")
TIME = ("created_at", "event_time", "received_at", "ts", "{n}_ts", "submitted_at", "logged_at")
LOCAL_TIME = (
    "local_time",
    "{n}_local",
    "happened_local",
    "occurred_on",
    "entry_local",
    "wall_time",
)
LOADED = ("loaded_at", "snapshot_at", "as_of", "valid_from", "refreshed_at")
PREDICTED = ("predicted_at", "scored_at", "inference_time", "run_ts", "prediction_ts")
SCORE = ("score", "probability", "p_{q}", "{q}_score", "confidence", "proba")
DECISION = ("decision", "prediction", "flagged", "is_{q}_pred", "predicted", "action_taken")
VERSION = ("model_version", "version", "model_tag", "served_by", "artifact")
LABEL = ("outcome", "label", "is_{q}", "target", "truth", "actual", "{q}")
LABELLED = ("labelled_at", "outcome_at", "settled_at", "label_ts", "closed_at", "confirmed_at")

DEPENDENCIES = {
    "feed": ("{c}-feed", "{n}-api", "partner-gateway", "{s}-stream", "{c}-sftp", "intake-broker"),
    "store": ("object-store", "{c}-bucket", "lake", "s3-{c}", "blob-{c}", "minio-{c}"),
    "warehouse": ("warehouse", "{c}-dwh", "pg-{c}", "snow-{c}", "analytics-db", "clickhouse-{c}"),
    "registry": ("model-registry", "{c}-registry", "artifacts", "mlregistry", "image-hub"),
}
THRESHOLD_KEY = (
    "{n}.decision_threshold", "scoring.cutoff", "{q}.threshold", "POSITIVE_CUTOFF", "model.flag_above",
    "{n}_SCORE_LIMIT", "policy.min_probability",
)  # fmt: skip
CONFIG_KEY = (
    "{task}.batch_size", "WAREHOUSE_DSN", "{n}.feature_set", "{task}.window_minutes", "MODEL_URI",
    "LAKE_PREFIX", "{task}.max_rows", "{n}.partitions", "FEED_ENDPOINT", "{task}.timezone",
)  # fmt: skip

NUMBERS: dict[str, tuple[str, ...]] = {
    "amount": (
        "amount",
        "gross_value",
        "total_due",
        "sum_claimed",
        "net_price",
        "face_value",
        "charge",
    ),
    "distance": ("distance", "haul_length", "route_len", "mileage", "leg_distance", "travel_dist"),
    "duration": ("duration", "handling_time", "dwell", "elapsed", "session_len", "processing_time"),
    "temperature": ("temperature", "ambient_temp", "probe_temp", "outdoor_t", "storage_temp"),
    "weight": ("weight", "gross_weight", "mass", "load_weight", "payload"),
    "count": ("items", "prior_cases", "n_contacts", "line_count", "open_tasks", "attempts"),
    "ratio": ("usage_share", "fill_rate", "discount_rate", "utilisation", "coverage", "ltv"),
    "tenure": ("tenure_days", "age_days", "days_since_start", "account_age", "days_on_book"),
    "balance": ("balance", "net_position", "margin_left", "credit_delta", "stock_delta"),
    "weak": ("page_depth", "checksum_mod", "font_scale", "referrer_len", "agent_seq", "queue_pos"),
    "unused": (
        "printer_level",
        "client_build",
        "ui_latency",
        "retry_budget",
        "trace_bits",
        "cache_age",
    ),
}
SIDE_NUMBER = ("rating", "trust_index", "capacity", "avg_cost", "reliability", "volume_index")
CATEGORIES: dict[str, tuple[str, ...]] = {
    "channel": ("channel", "source_system", "entry_point", "origin_app", "medium"),
    "region": ("region", "zone", "area_code", "district", "territory", "market"),
    "product": ("product", "line", "plan", "kind", "category", "tariff"),
    "tier": ("tier", "priority", "grade", "service_level", "band"),
}
SIDE_CATEGORY = ("segment", "size_class", "{s}_type", "rating_class", "group_code")
VALUES: dict[str, tuple[str, ...]] = {
    "channel": ("web", "phone", "app", "branch", "partner", "email", "kiosk", "api", "fax", "chat"),
    "region": (
        "north", "south", "east", "west", "coast", "inland", "metro", "lakes", "hills", "valley",
        "delta", "islands", "border", "central", "plains",
    ),
    "product": (
        "basic", "plus", "family", "fleet", "home", "travel", "student", "premium", "seasonal", "micro",
        "heavy", "express",
    ),
    "tier": ("bronze", "silver", "gold", "platinum", "standard", "priority", "economy"),
    "side": ("small", "medium", "large", "key", "new", "dormant", "franchise", "independent"),
}  # fmt: skip
