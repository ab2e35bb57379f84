//! Names that chaincode calls other chaincode by (Fabric `ParseName`).

/// A chaincode called by another: `name[:version][/channel]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The chaincode's name.
    pub name: String,
    /// The version the caller wrote. It selects nothing: the definition on the channel does.
    pub version: String,
    /// The channel; empty for the caller's own.
    pub channel: String,
}

impl From<&str> for Target {
    fn from(text: &str) -> Self {
        let (instance, channel) = text.split_once('/').unwrap_or((text, ""));
        let (name, version) = instance.split_once(':').unwrap_or((instance, ""));
        Self {
            name: name.into(),
            version: version.into(),
            channel: channel.into(),
        }
    }
}

/// As Fabric prints a chaincode instance: `channel.name#version`.
impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}#{}", self.channel, self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_split_as_in_fabric() {
        let parts = |text: &str| {
            let target = Target::from(text);
            (target.name, target.version, target.channel)
        };
        let expected = |name: &str, version: &str, channel: &str| {
            (name.to_owned(), version.to_owned(), channel.to_owned())
        };
        assert_eq!(parts("cc"), expected("cc", "", ""));
        assert_eq!(parts("cc:v"), expected("cc", "v", ""));
        assert_eq!(parts("cc/ch"), expected("cc", "", "ch"));
        assert_eq!(parts("cc:v/ch"), expected("cc", "v", "ch"));
        assert_eq!(parts("cc/ch/x:y"), expected("cc", "", "ch/x:y"));
        assert_eq!(parts("cc:v:w"), expected("cc", "v:w", ""));
        assert_eq!(parts(""), expected("", "", ""));
    }
}
