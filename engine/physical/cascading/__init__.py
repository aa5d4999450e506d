"""Who answers rows in the place of a reference, as far as a promise allows: proxies of certified calls."""
