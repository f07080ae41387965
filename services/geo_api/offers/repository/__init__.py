"""Every query of offers: the offers themselves, taking units and granting, coupons and codes."""
