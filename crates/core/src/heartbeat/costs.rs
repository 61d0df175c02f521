//! What the nodes of a cluster cost, by the prices of their machines (member-behaviour 3.7).

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use api::Time;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::usage::NodeFacts;

/// Prices older than this are reported as stale.
const FRESH: SignedDuration = SignedDuration::from_hours(24);

/// Regions with prices that are known without asking, and those of the machine sizes below, in dollars an hour.
const KNOWN: [(&str, [f64; 5]); 4] = [
    (FALLBACK_REGION, [0.0186, 0.0196, 0.384, 1.008, 3.073]),
    ("westus", [0.0112, 0.0124, 0.448, 1.12, 3.995]),
    ("northeurope", [0.0102, 0.0206, 0.428, 1.128, 3.6876]),
    ("eastasia", [0.0223, 0.0238, 0.528, 1.336, 5.569_875]),
];

/// Whose prices count for regions that are not known.
const FALLBACK_REGION: &str = "eastus";

/// Machine sizes with known prices.
const KNOWN_SIZES: [&str; 5] = [
    "Standard_B2ats_v2",
    "Standard_B2ts_v2",
    "Standard_D8s_v5",
    "Standard_E16_v5",
    "Standard_M16ms",
];

/// When the known prices were right, in seconds since 1970: 2025-05-16T07:05:27Z.
const KNOWN_SINCE: i64 = 1_747_379_127;

/// Fewer cores or bytes than this have no meaningful price.
const LEAST_CORES: f64 = 0.001;
const LEAST_BYTES: f64 = 1.0;

const GIGABYTE: f64 = 1_073_741_824.0;

/// Prices of machines by the hour.
#[derive(Debug, Clone, PartialEq)]
pub struct Prices {
    /// Dollars an hour, by machine size.
    by_size: BTreeMap<String, f64>,
    /// When they were right.
    pub updated: Timestamp,
}

impl Prices {
    /// The prices of a region that are known without asking. They are old by now, and reported as such.
    pub fn known(region: &str) -> Self {
        let row = KNOWN.iter().find(|(name, _)| *name == region).unwrap_or(&KNOWN[0]);
        let by_size = KNOWN_SIZES.iter().map(|size| (*size).to_owned()).zip(row.1).collect();
        Self {
            by_size,
            updated: Timestamp::from_second(KNOWN_SINCE).unwrap_or_default(),
        }
    }

    /// The prices on all pages of an answer; `None` when none of them is of a machine on demand.
    pub fn of<P: Borrow<Page>>(pages: impl IntoIterator<Item = P>, now: Timestamp) -> Option<Self> {
        let mut by_size = BTreeMap::new();
        for page in pages {
            for item in page.borrow().items.iter().filter(|item| item.is_on_demand()) {
                // Several that are left for one size are as good as each other.
                by_size.entry(item.arm_sku_name.clone()).or_insert(item.retail_price);
            }
        }
        (!by_size.is_empty()).then_some(Self { by_size, updated: now })
    }
}

/// One page of the answer of the price list.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Page {
    /// Prices.
    pub items: Vec<Item>,
    /// URL of the next page, when there is one.
    pub next_page_link: Option<String>,
}

/// One price of the price list.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Item {
    arm_sku_name: String,
    product_name: String,
    meter_name: String,
    sku_name: String,
    retail_price: f64,
}

impl Item {
    fn is_on_demand(&self) -> bool {
        !self.arm_sku_name.is_empty()
            && !self.product_name.ends_with(" Windows")
            && !self.meter_name.ends_with(" Low Priority")
            && !self.sku_name.ends_with(" Spot")
    }
}

/// What a core and a gigabyte cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Costs {
    /// Dollars an hour for each core.
    pub per_core: f64,
    /// Dollars an hour for each gigabyte of memory.
    pub per_gigabyte: f64,
    /// Why these may be wrong.
    pub warning: Option<String>,
}

/// The costs of a cluster: Σ price(size) × nodes of that size, divided by Σ cores, and by Σ bytes / 2^30.
///
/// # Errors
/// Why there is nothing to say, in words.
pub fn costs<N: Borrow<NodeFacts>>(nodes: &[N], prices: &Prices, now: &Time) -> Result<Costs, String> {
    if nodes.is_empty() {
        return Ok(Costs {
            per_core: 0.0,
            per_gigabyte: 0.0,
            warning: None,
        });
    }
    let (mut total, mut cores, mut bytes) = (0.0, 0.0, 0.0);
    let mut missing = BTreeSet::new();
    for node in nodes {
        let node = node.borrow();
        cores += node.cores();
        bytes += node.bytes();
        match prices.by_size.get(node.size()) {
            Some(price) => total += price,
            None => {
                missing.insert(node.size());
            }
        }
    }
    let missing: Vec<_> = missing.into_iter().collect();
    let missing = format!("[{}]", missing.join(" "));
    // Of several errors the last one is reported.
    let problems = [
        (total == 0.0)
            .then(|| format!("nodes are present, but no pricing data is available for any node SKUs ({missing})")),
        (missing != "[]").then(|| {
            format!("no pricing data is available for one or more of the node SKUs ({missing}) in the cluster")
        }),
        (cores <= LEAST_CORES).then(|| invalid("cpu", cores)),
        (bytes <= LEAST_BYTES).then(|| invalid("memory", bytes)),
    ];
    match problems.into_iter().flatten().next_back() {
        Some(problem) => Err(problem),
        None => Ok(Costs {
            per_core: total / cores,
            per_gigabyte: total / (bytes / GIGABYTE),
            warning: warning(prices, now),
        }),
    }
}

fn invalid(what: &str, value: f64) -> String {
    format!("failed to calculate costs: {what} quantity is of an invalid value: {value}")
}

fn warning(prices: &Prices, now: &Time) -> Option<String> {
    let is_stale = now.0.duration_since(prices.updated) > FRESH;
    is_stale.then(|| {
        let updated = prices.updated.strftime("%Y-%m-%d %H:%M:%S +0000 UTC");
        format!(
            "the pricing data is stale (last updated at {updated}); the system might have issues connecting to the Azure \
             Retail Prices API, or the current region is unsupported"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(size: &str, cpu: &str, memory: &str) -> NodeFacts {
        NodeFacts::decode(&json!({
            "metadata": {"labels": {"beta.kubernetes.io/instance-type": size}},
            "status": {"capacity": {"cpu": cpu, "memory": memory}}
        }))
    }

    fn at(text: &str) -> Time {
        Time(text.parse().unwrap())
    }

    #[test]
    fn known_prices_of_the_contract() {
        let now = at("2025-05-16T08:00:00Z");
        for (region, size, price) in [
            ("westus", "Standard_B2ats_v2", 0.0112),
            ("westus", "Standard_M16ms", 3.995),
            ("northeurope", "Standard_B2ts_v2", 0.0206),
            ("northeurope", "Standard_E16_v5", 1.128),
            ("eastasia", "Standard_D8s_v5", 0.528),
            ("eastasia", "Standard_M16ms", 5.569_875),
            ("eastus", "Standard_E16_v5", 1.008),
            ("nowhere", "Standard_B2ats_v2", 0.0186),
        ] {
            let got = costs(&[node(size, "2", "4Gi")], &Prices::known(region), &now).unwrap();
            assert_eq!(
                (got.per_core, got.per_gigabyte),
                (price / 2.0, price / 4.0),
                "{region} {size}"
            );
            assert_eq!(got.warning, None, "they are less than a day old");
        }
    }

    #[test]
    fn old_prices_are_told() {
        let got = costs(
            &[
                node("Standard_D8s_v5", "8", "32Gi"),
                node("Standard_E16_v5", "16", "128Gi"),
            ],
            &Prices::known("eastus"),
            &at("2025-06-01T00:00:00Z"),
        )
        .unwrap();
        assert_eq!(
            (format!("{:.3}", got.per_core), format!("{:.3}", got.per_gigabyte)),
            ("0.058".to_owned(), "0.009".to_owned())
        );
        assert_eq!(
            got.warning.as_deref(),
            Some(
                "the pricing data is stale (last updated at 2025-05-16 07:05:27 +0000 UTC); the system might have issues \
                 connecting to the Azure Retail Prices API, or the current region is unsupported"
            )
        );
    }

    #[test]
    fn what_has_no_price_is_told_sorted() {
        let now = at("2025-05-16T08:00:00Z");
        let of = |nodes: &[NodeFacts]| costs(nodes, &Prices::known("westus"), &now);
        assert_eq!(
            of(&[]),
            Ok(Costs {
                per_core: 0.0,
                per_gigabyte: 0.0,
                warning: None
            })
        );
        let some = [
            node("b", "1", "1Gi"),
            node("", "1", "1Gi"),
            node("Standard_D8s_v5", "1", "1Gi"),
            node("b", "1", "1Gi"),
        ];
        assert_eq!(
            of(&some).unwrap_err(),
            "no pricing data is available for one or more of the node SKUs ([b undefined]) in the cluster"
        );
        assert_eq!(
            of(&[node("Standard_D8s_v5", "0", "1Gi")]).unwrap_err(),
            "failed to calculate costs: cpu quantity is of an invalid value: 0"
        );
        assert_eq!(
            of(&[node("Standard_D8s_v5", "1", "1")]).unwrap_err(),
            "failed to calculate costs: memory quantity is of an invalid value: 1"
        );
        let free: Page = serde_json::from_value(json!({"Items": [{"armSkuName": "a", "retailPrice": 0.0}]})).unwrap();
        let free = Prices::of([free], now.0).unwrap();
        assert_eq!(
            costs(&[node("a", "1", "1Gi")], &free, &now).unwrap_err(),
            "nodes are present, but no pricing data is available for any node SKUs ([])"
        );
    }

    #[test]
    fn pages_give_prices_of_machines_on_demand() {
        let item = |size: &str, product: &str, meter: &str, sku: &str, price: f64| {
            json!({"armSkuName": size, "productName": product, "meterName": meter, "skuName": sku, "retailPrice": price,
                "type": "Consumption"})
        };
        let first = json!({"Items": [
            item("A", "Series", "A", "A", 1.5),
            item("A", "Series Windows", "A", "A", 9.0),
            item("B", "Series", "B Low Priority", "B Low Priority", 9.0),
            item("B", "Series", "B Spot", "B Spot", 9.0),
        ], "NextPageLink": "https://x/next", "Count": 4});
        let second = json!({"Items": [item("B", "Series", "B", "B", 2.5), item("A", "Series", "A", "A", 7.0)], "NextPageLink": null});
        let pages: Vec<Page> = [first, second].map(|page| serde_json::from_value(page).unwrap()).into();
        assert_eq!(pages[0].next_page_link.as_deref(), Some("https://x/next"));
        let now = Timestamp::from_second(1).unwrap();
        let got = Prices::of(&pages, now).unwrap();
        assert_eq!(
            got.by_size,
            BTreeMap::from([("A".to_owned(), 1.5), ("B".to_owned(), 2.5)])
        );
        assert_eq!(Prices::of([Page::default()], now), None);
    }
}
