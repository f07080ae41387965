"""Use cases of offers: keeping them, granting coupons, listing and using those."""
