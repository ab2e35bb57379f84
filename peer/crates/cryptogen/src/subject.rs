//! Whom a certificate names, and for how long.

use rcgen::{DistinguishedName, DnType, DnValue};
use time::{Duration, OffsetDateTime};

/// The name in a certificate. Country, state and place are cryptogen's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// CN.
    pub common_name: String,
    /// OU; with node OUs it says what the holder may be: `peer`, `orderer`, `admin` or `client`.
    pub organizational_unit: Option<String>,
    /// O; cryptogen gives it to CAs only.
    pub organization: Option<String>,
}

impl Subject {
    /// A name with nothing but a CN.
    pub fn named(common_name: impl Into<String>) -> Self {
        Self {
            common_name: common_name.into(),
            ..Self::default()
        }
    }

    /// The same with an OU.
    pub fn in_unit(mut self, unit: impl Into<String>) -> Self {
        self.organizational_unit = Some(unit.into());
        self
    }

    /// The same with an O.
    pub fn of_organization(mut self, organization: impl Into<String>) -> Self {
        self.organization = Some(organization.into());
        self
    }

    pub(crate) fn distinguished_name(&self) -> DistinguishedName {
        let mut name = DistinguishedName::new();
        let parts = [
            (DnType::CountryName, Some("US")),
            (DnType::StateOrProvinceName, Some("California")),
            (DnType::LocalityName, Some("San Francisco")),
            (DnType::OrganizationName, self.organization.as_deref()),
            (
                DnType::OrganizationalUnitName,
                self.organizational_unit.as_deref(),
            ),
            (DnType::CommonName, Some(self.common_name.as_str())),
        ];
        for (kind, text) in parts {
            if let Some(text) = text {
                name.push(kind, printable(text));
            }
        }
        name
    }
}

/// Go writes a PrintableString where the text allows it; readers compare names byte by byte.
fn printable(text: &str) -> DnValue {
    match text.try_into() {
        Ok(printable) => DnValue::PrintableString(printable),
        Err(_) => DnValue::Utf8String(text.to_owned()),
    }
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before: OffsetDateTime,
    /// The last moment.
    pub not_after: OffsetDateTime,
}

impl Validity {
    /// From five minutes ago, since clocks differ, for ten years.
    pub fn from_now() -> Self {
        let not_before = OffsetDateTime::now_utc() - Duration::minutes(5);
        Self {
            not_before,
            not_after: not_before + Duration::days(3650),
        }
    }

    /// Over since an hour.
    pub fn expired() -> Self {
        let not_after = OffsetDateTime::now_utc() - Duration::hours(1);
        Self {
            not_before: not_after - Duration::days(1),
            not_after,
        }
    }
}
