module ctspeer

go 1.21
