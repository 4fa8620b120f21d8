"""Official releases → samples: one file per dataset, damaged records set aside and counted, splits verified."""
