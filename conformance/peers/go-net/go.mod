module gonet

go 1.21

require ctspeer v0.0.0

replace ctspeer => ../../kits/go
