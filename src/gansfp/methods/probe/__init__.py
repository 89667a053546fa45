"""Features of a frozen network with a linear SVM or with clusters (runs 1267, 1268, 1269, 1271)."""
